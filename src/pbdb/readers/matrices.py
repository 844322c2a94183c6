"""Readers of expression matrices in the formats labs keep them in: text, workbooks, Parquet, h5ad, GCT, folders.

    read(path, sparse=True)    -> Profiles: samples x genes, sparse (counts) or dense (intensities)

| file | orientation | names |
|---|---|---|
| .csv, .tsv, .txt, each plain or .gz; .xlsx | genes x samples | first column: genes; heading: samples |
| .parquet | genes x samples | the index pandas stored, else the first column: genes; other columns: samples |
| .gct, plain or .gz; .gctx | genes x samples | ids of rows: genes; ids of columns: samples |
| .h5ad of any version | samples x genes | obs and var names |
| folder of matrix.mtx, features.tsv (or genes.tsv), barcodes.tsv (10x, STARsolo) | genes x samples | first columns |
| folder of cells_x_genes.mtx, .genes.txt, .barcodes.txt (kb-python) | samples x genes | lines |

Text and Parquet are read a block of genes at a time, so a sparse matrix is never dense as a whole. Rows in which
counting programs and spreadsheets keep reads of no gene (`__no_feature`, `Total`) and columns that describe genes
(featureCounts, symbols beside ids) are left out, and named in `left_out`.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pbdb.common.errors import DataError
from pbdb.readers import gct, gctx
from pbdb.readers.annotations import Annotations
from pbdb.readers.bombs import require_plausible, unpacked
from pbdb.readers.handwritten.matrix_tables import read_text, read_workbook
from pbdb.readers.mtx_folders import read_folder
from pbdb.readers.named_matrix import Names, Profiles, as_counts, as_names, dense, from_blocks
from pbdb.readers.opening import DAMAGED, ending, starts_with
from pbdb.readers.tables import missing

__all__ = ["FORMATS", "Names", "Profiles", "read"]

FORMATS = (
    ".csv, .tsv or .txt (plain or .gz), .xlsx, .parquet, .h5ad, .gct, .gctx, or a folder of matrix.mtx, features.tsv "
    "and barcodes.tsv"
)
TEXT = (".csv", ".tsv", ".txt", ".tab", ".counts")
OF_NO_GENE = re.compile(
    r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)|Unassigned_\w+"
    r"|(?i:(grand )?totals?([ _](counts?|reads?|umis?))?|sum(me|ma|s)?|gesamt|somme|suma|library[ _]?size|unmapped)"
    r"|no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique"
)


def read(path: Path, *, sparse: bool) -> Profiles:
    """Read a matrix; `sparse` leaves zeros out (CSC, or CSR where the file has it), else dense float64.

    Raises:
        SourceError: there is no such file.
        DataError: the format is unknown, the file is damaged, values are no numbers, or names stand twice.
    """
    if not path.exists():
        raise missing(path)
    try:
        profiles = _of_genes(_profiles(path, sparse))
    except DAMAGED as problem:
        raise DataError(_unreadable(path, problem), file=path.name) from None
    for names, what in ((profiles.samples, "sample"), (profiles.genes, "gene")):
        _refuse_bad_names(path, names, what)
    return profiles


def _profiles(path: Path, sparse: bool) -> Profiles:
    if ending(path) in TEXT or ending(path) == ".gct" or path.is_dir():
        require_plausible(path)
        return _reader(path)(path, sparse)
    with unpacked(path) as plain:
        require_plausible(plain)
        return _reader(path)(plain, sparse)


def _reader(path: Path) -> Callable[[Path, bool], Profiles]:
    if path.is_dir():
        return _folder
    by_ending = {
        ".parquet": _parquet, ".h5ad": _h5ad, ".gct": _gct, ".gctx": _gctx, ".xlsx": read_workbook,
        **dict.fromkeys(TEXT, read_text),
    }  # fmt: skip
    if ending(path) not in by_ending:
        raise DataError(f"'{path.name}' is of no known format; give {FORMATS}.", file=path.name)
    if starts_with(path, 4) == b"PK\x03\x04" and ending(path) in TEXT:
        return read_workbook
    return by_ending[ending(path)]


def _unreadable(path: Path, problem: BaseException) -> str:
    detail = " ".join(str(problem).split()) or type(problem).__name__
    return f"The matrix '{path.name}' cannot be read to its end ({detail}): it is damaged or of another format."


def _of_genes(profiles: Profiles) -> Profiles:
    """Without the rows in which counting programs keep reads of no gene."""
    names = profiles.genes
    summary = np.array([OF_NO_GENE.fullmatch(name) is not None for name in names], dtype=bool)
    if not summary.any():
        return profiles
    left_out = (*profiles.left_out, *names[summary])
    return Profiles(profiles.samples, names[~summary], profiles.values[:, np.flatnonzero(~summary)], left_out)


def _refuse_bad_names(path: Path, names: Names, what: str) -> None:
    if any(not name for name in names):
        raise DataError(f"A {what} of '{path.name}' has no name: every {what} needs one.", file=path.name)
    name, times = Counter(names).most_common(1)[0] if len(names) else ("", 0)
    if times > 1:
        raise DataError(
            f"The {what} '{name}' stands {times} times in '{path.name}': every {what} must be there once.",
            file=path.name,
            value=name,
        )


def _parquet(path: Path, sparse: bool) -> Profiles:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        gene = _gene_column(schema)
        words = [name for name in schema.names if name != gene and _is_text(schema.field(name).type)]
        samples = [name for name in schema.names if name != gene and name not in words]
        for name in samples:
            kind = schema.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise DataError(
                    f"The column '{name}' of '{path.name}' holds {kind}, not numbers: give one per sample.",
                    column=name,
                    file=path.name,
                )
        blocks = ((_genes_of(batch, gene), _samples_of(batch, samples)) for batch in file.iter_batches(1024))
        return from_blocks(samples, blocks, sparse)._replace(left_out=tuple(words))


def _is_text(kind: pa.DataType) -> bool:
    """Whether a column describes genes, such as their symbols beside ids."""
    while pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _gene_column(schema: Any) -> str:
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    named = [name for name in index if isinstance(name, str) and name in schema.names]
    return named[0] if len(named) == 1 else str(schema.names[0])


def _genes_of(batch: Any, gene: str) -> list[str]:
    return list(batch.column(gene).to_pylist())


def _samples_of(batch: Any, samples: list[str]) -> npt.NDArray[np.float64]:
    return dense((batch.column(name) for name in samples), batch.num_rows)


def _h5ad(path: Path, sparse: bool) -> Profiles:
    import h5py
    from anndata.io import read_elem

    with h5py.File(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AnnData warns of what versions before 0.7 left out
        if "X" not in file:
            raise DataError(f"'{path.name}' has no matrix X: store the values there.", file=path.name)
        values = read_elem(file["X"])
        samples, genes = (as_names(Annotations(file, axis).names()) for axis in ("obs", "var"))
    return Profiles(samples, genes, _as_wanted(values, sparse))


def _gct(path: Path, sparse: bool) -> Profiles:
    return _of_lincs(gct.read(path), sparse)


def _gctx(path: Path, sparse: bool) -> Profiles:
    return _of_lincs(gctx.Gctx(path).read(), sparse)


def _of_lincs(found: gct.Profiles, sparse: bool) -> Profiles:
    return Profiles(as_names(found.columns.index), as_names(found.rows.index), _as_wanted(found.values, sparse))


def _folder(folder: Path, sparse: bool) -> Profiles:
    samples, genes, values = read_folder(folder)
    return Profiles(as_names(samples), as_names(genes), _as_wanted(values, sparse))


def _as_wanted(values: Any, sparse: bool) -> Any:
    import scipy.sparse as sp

    if not sparse:
        return (values.toarray() if sp.issparse(values) else np.asarray(values)).astype(np.float64, copy=False)
    kept = values if sp.issparse(values) and values.format == "csr" else sp.csc_array(values)
    kept.sum_duplicates()
    kept.eliminate_zeros()
    kept.data = as_counts(kept.data)
    return kept
