"""Readers of published file formats: from a path to tables, matrices or a stream of plates."""

from pbdb.readers.tables import Matrix, aligned, csv, gene_matrix, only, parquet, tsv

__all__ = ["Matrix", "aligned", "csv", "gene_matrix", "only", "parquet", "tsv"]
