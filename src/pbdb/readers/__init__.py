"""Readers of published file formats: from a path to tables, matrices or a stream of plates.

h5py and SciPy are imported where a reader opens a file: every declaration imports the readers, and a load that finds
nothing to do opens none.
"""

from pbdb.readers.csr import cell_matrix
from pbdb.readers.handwritten.sheets import table as sheet
from pbdb.readers.handwritten.sheets import worksheet
from pbdb.readers.profiles import compounds_of, counts, intensities, obs, paired, xlsx
from pbdb.readers.tables import Matrix, aligned, csv, gene_matrix, only, parquet, tsv

__all__ = [
    "Matrix",
    "aligned",
    "cell_matrix",
    "compounds_of",
    "counts",
    "csv",
    "gene_matrix",
    "intensities",
    "obs",
    "only",
    "paired",
    "parquet",
    "sheet",
    "tsv",
    "worksheet",
    "xlsx",
]
