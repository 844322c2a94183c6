"""Readers of expression matrices in the formats labs keep them in: text, Parquet, h5ad, 10x folders.

    read(path, sparse=True)    -> Profiles: samples x genes, sparse (counts) or dense (intensities)

| file | orientation | names |
|---|---|---|
| .csv, .tsv, .txt, each plain or .gz | genes x samples | first column: genes; heading: samples |
| .parquet | genes x samples | the index pandas stored, else the first column: genes; other columns: samples |
| .h5ad | samples x genes | obs and var names |
| folder of matrix.mtx, features.tsv (or genes.tsv), barcodes.tsv, each plain or .gz | genes x samples | first columns |

Text and Parquet are read a block of genes at a time, so a sparse matrix is never dense as a whole.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from pbdb.common.errors import DataError
from pbdb.readers.bombs import MOST_GENES, bounded, require_plausible, require_rows
from pbdb.readers.tables import missing

TEXT = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
FORMATS = ".csv, .tsv or .txt (plain or .gz), .parquet, .h5ad, or a folder of matrix.mtx, features.tsv and barcodes.tsv"
TEXT_BLOCK_BYTES = 32 * 2**20
GENE_EXPRESSION = "Gene Expression"
DAMAGED = (
    OSError, EOFError, MemoryError, zlib.error, UnicodeDecodeError, csv.Error, ValueError, LookupError,
    pa.ArrowException,
)  # fmt: skip

Names = npt.NDArray[np.object_]
Block = tuple[list[str], npt.NDArray[np.float64]]


class Profiles(NamedTuple):
    """Names of samples and genes, and the values, samples x genes; a missing value is NaN."""

    samples: Names
    genes: Names
    values: Any


def read(path: Path, *, sparse: bool) -> Profiles:
    """Read a matrix; `sparse` leaves zeros out (CSC, or CSR where the file has it), else dense float64.

    Raises:
        SourceError: there is no such file.
        DataError: the format is unknown, the file is damaged, values are no numbers, or names stand twice.
    """
    if not path.exists():
        raise missing(path)
    try:
        require_plausible(path)
        found = _reader(path)(path, sparse)
    except DAMAGED as problem:
        raise DataError(_unreadable(path, problem)) from None
    for names, what in ((found.samples, "sample"), (found.genes, "gene")):
        _refuse_bad_names(path, names, what)
    return found


def _reader(path: Path) -> Callable[[Path, bool], Profiles]:
    if path.is_dir():
        return _tenx
    known = {".parquet": _parquet, ".h5ad": _h5ad, **dict.fromkeys(TEXT, _text)}
    if ending(path) not in known:
        raise DataError(f"'{path.name}' is of no known format; give {FORMATS}.")
    return known[ending(path)]


def ending(path: Path) -> str:
    """The ending of a file's name in lower case, that of compression left aside: `.csv` of `A.CSV.gz`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix if name.endswith(".gz") else path.suffix.lower()


def _unreadable(path: Path, problem: BaseException) -> str:
    detail = " ".join(str(problem).split()) or type(problem).__name__
    return f"The matrix '{path.name}' cannot be read to its end ({detail}): it is damaged or of another format."


def _refuse_bad_names(path: Path, names: Names, what: str) -> None:
    if any(not name for name in names):
        raise DataError(f"A {what} of '{path.name}' has no name: every {what} needs one.")
    name, times = Counter(names).most_common(1)[0] if len(names) else ("", 0)
    if times > 1:
        raise DataError(f"The {what} '{name}' stands {times} times in '{path.name}': every {what} must be there once.")


def _open(path: Path) -> IO[bytes]:
    """Open a file, decompressed where its first bytes are those of gzip."""
    with path.open("rb") as start:
        zipped = start.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if zipped else path.open("rb")


def _lines(path: Path, sep: str) -> Iterator[list[str]]:
    with _open(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield from csv.reader(bounded(text, path.name), delimiter=sep)


def _text(path: Path, sparse: bool) -> Profiles:
    sep = TEXT[ending(path)]
    header = next(_lines(path, sep), [])
    if len(header) < 2:
        raise DataError(
            f"The heading of '{path.name}' holds {len(header)} columns; give genes in the first column and one "
            f"column per sample, separated by {'commas' if sep == ',' else 'tabs'}."
        )
    return _from_blocks(header[1:], _text_blocks(path, sep, header), sparse)


def _text_blocks(path: Path, sep: str, header: list[str]) -> Iterator[Block]:
    from pyarrow import csv as arrow_csv

    columns = [str(place) for place in range(len(header))]
    types = {name: pa.float64() for name in columns[1:]} | {"0": pa.string()}
    try:
        with _open(path) as raw:
            reader = arrow_csv.open_csv(
                raw,
                arrow_csv.ReadOptions(column_names=columns, skip_rows=1, block_size=TEXT_BLOCK_BYTES),
                arrow_csv.ParseOptions(delimiter=sep),
                arrow_csv.ConvertOptions(column_types=types),
            )
            for batch in reader:
                yield batch.column(0).to_pylist(), _dense(batch.columns[1:], batch.num_rows)
    except pa.ArrowInvalid as problem:
        raise DataError(_not_a_number(path, header, str(problem))) from None


def _not_a_number(path: Path, header: list[str], problem: str) -> str:
    found = re.search(r"column #(\d+).*invalid value '(.*)'", problem)
    if not found:
        return _unreadable(path, ValueError(problem))
    sample = header[int(found[1])]
    return f"The matrix '{path.name}' holds '{found[2]}' in the column of sample '{sample}': give numbers only."


def _dense(columns: Iterable[Any], n_rows: int) -> npt.NDArray[np.float64]:
    """Stack Arrow columns; null is NaN."""
    arrays = [column.to_numpy(zero_copy_only=False) for column in columns]
    out = np.empty((n_rows, len(arrays)))
    for place, array in enumerate(arrays):
        out[:, place] = array
    return out


def _from_blocks(samples: list[str], blocks: Iterable[Block], sparse: bool) -> Profiles:
    """Put blocks of genes x samples together; transposed, rows of genes are columns of samples x genes."""
    genes: list[str] = []
    parts: list[Any] = []
    for names, block in blocks:
        genes.extend(names)
        require_rows(len(genes), "The matrix", MOST_GENES)
        parts.append(sp.csr_array(_whole(block)) if sparse else block)
    if not genes:
        raise DataError("The matrix holds no gene: it has a heading and nothing below it.")
    stacked = sp.vstack(parts, format="csr") if sparse else np.concatenate(parts)
    return Profiles(_names(samples), _names(genes), stacked.T)


def _names(names: Iterable[Any]) -> Names:
    return np.array(["" if name is None else str(name) for name in names], dtype=object)


def _whole(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers that fit as int32, anything else as it is."""
    fits = np.isfinite(block).all() and block.size and np.abs(block).max() < np.iinfo(np.int32).max
    return block.astype(np.int32) if fits and (block == np.rint(block)).all() else block


def _parquet(path: Path, sparse: bool) -> Profiles:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        gene = _gene_column(schema)
        samples = [name for name in schema.names if name != gene]
        for name in samples:
            kind = schema.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise DataError(f"The column '{name}' of '{path.name}' holds {kind}, not numbers: give one per sample.")
        blocks = ((_genes_of(batch, gene), _samples_of(batch, samples)) for batch in file.iter_batches(1024))
        return _from_blocks(samples, blocks, sparse)


def _gene_column(schema: Any) -> str:
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    named = [name for name in index if isinstance(name, str) and name in schema.names]
    return named[0] if len(named) == 1 else str(schema.names[0])


def _genes_of(batch: Any, gene: str) -> list[str]:
    return list(batch.column(gene).to_pylist())


def _samples_of(batch: Any, samples: list[str]) -> npt.NDArray[np.float64]:
    return _dense((batch.column(name) for name in samples), batch.num_rows)


def _h5ad(path: Path, sparse: bool) -> Profiles:
    import h5py
    from anndata.io import read_elem

    with h5py.File(path) as file:
        if "X" not in file:
            raise DataError(f"'{path.name}' has no matrix X: store the values there.")
        values = read_elem(file["X"])
        samples, genes = (_names(read_elem(file[axis]).index) for axis in ("obs", "var"))
    return Profiles(samples, genes, _as_wanted(values, sparse))


def _as_wanted(values: Any, sparse: bool) -> Any:
    if not sparse:
        return (values.toarray() if sp.issparse(values) else np.asarray(values)).astype(np.float64, copy=False)
    found = values if sp.issparse(values) and values.format == "csr" else sp.csc_array(values)
    found.sum_duplicates()
    found.eliminate_zeros()
    found.data = _whole(found.data)
    return found


def _tenx(folder: Path, sparse: bool) -> Profiles:
    from scipy.io import mmread

    matrix, names_of_features, names_of_samples = tenx_files(folder)
    features = list(_lines(names_of_features, "\t"))
    barcodes = [line[0] for line in _lines(names_of_samples, "\t") if line]
    with _open(matrix) as file:
        values = sp.csc_array(sp.coo_array(mmread(file)).T)
    if values.shape != (len(barcodes), len(features)):
        raise DataError(
            f"The matrix of '{folder.name}' has {values.shape[1]} genes and {values.shape[0]} samples, its lists of "
            f"names {len(features)} and {len(barcodes)}: the three files do not belong together."
        )
    chosen = [place for place, line in enumerate(features) if len(line) < 3 or line[2] == GENE_EXPRESSION]
    genes = _names(features[place][0] for place in chosen)
    return Profiles(_names(barcodes), genes, _as_wanted(values[:, chosen], sparse))


def tenx_files(folder: Path) -> tuple[Path, Path, Path]:
    """Find the matrix, the features and the samples of a 10x folder.

    Raises:
        DataError: one of them is not there.
    """
    names = _part(folder, "features.tsv", "genes.tsv"), _part(folder, "barcodes.tsv")
    return _part(folder, "matrix.mtx"), *names


def _part(folder: Path, *names: str) -> Path:
    """Find one file of a 10x folder, plain or gzipped."""
    for name in names:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                return path
    raise DataError(f"The folder '{folder.name}' has no {names[0]} (or {names[0]}.gz): it is no 10x matrix folder.")
