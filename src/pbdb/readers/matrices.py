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
counting programs keep reads of no gene (`__no_feature`, `N_unmapped`) and columns that describe genes (featureCounts)
are left out, and named in `left_out`.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from pbdb.common.errors import DataError
from pbdb.readers import gct, gctx
from pbdb.readers.annotations import Annotations
from pbdb.readers.bombs import MOST_GENES, require_plausible, require_rows
from pbdb.readers.mtx_folders import read_folder
from pbdb.readers.opening import DAMAGED, encoding_of, ending, open_bytes, starts_with
from pbdb.readers.people import grids, sheets
from pbdb.readers.people.cells import cleaned
from pbdb.readers.tables import missing

FORMATS = (
    ".csv, .tsv or .txt (plain or .gz), .xlsx, .parquet, .h5ad, .gct, .gctx, or a folder of matrix.mtx, features.tsv "
    "and barcodes.tsv"
)
TEXT = (".csv", ".tsv", ".txt", ".tab", ".counts")
TEXT_BLOCK_BYTES = 32 * 2**20
OF_FEATURE_COUNTS = ("Chr", "Start", "End", "Strand", "Length")
OF_NO_GENE = re.compile(r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)")
OF_HTSEQ = frozenset({"no_feature", "ambiguous", "too_low_aQual", "not_aligned", "alignment_not_unique"})

Names = npt.NDArray[np.object_]
Block = tuple[list[str], npt.NDArray[np.float64]]


class Profiles(NamedTuple):
    """Names of samples and genes, and the values, samples x genes; a missing value is NaN.

    left_out: names of rows or columns of the file that are neither gene nor sample.
    """

    samples: Names
    genes: Names
    values: Any
    left_out: tuple[str, ...] = ()


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
        profiles = _of_genes(_reader(path)(path, sparse))
    except DAMAGED as problem:
        raise DataError(_unreadable(path, problem), file=path.name) from None
    for names, what in ((profiles.samples, "sample"), (profiles.genes, "gene")):
        _refuse_bad_names(path, names, what)
    return profiles


def _reader(path: Path) -> Callable[[Path, bool], Profiles]:
    if path.is_dir():
        return _folder
    by_ending = {
        ".parquet": _parquet, ".h5ad": _h5ad, ".gct": _gct, ".gctx": _gctx, ".xlsx": _workbook,
        **dict.fromkeys(TEXT, _text),
    }  # fmt: skip
    if ending(path) not in by_ending:
        raise DataError(f"'{path.name}' is of no known format; give {FORMATS}.", file=path.name)
    if starts_with(path, 4) == b"PK\x03\x04" and ending(path) in TEXT:
        return _workbook
    return by_ending[ending(path)]


def _unreadable(path: Path, problem: BaseException) -> str:
    detail = " ".join(str(problem).split()) or type(problem).__name__
    return f"The matrix '{path.name}' cannot be read to its end ({detail}): it is damaged or of another format."


def _of_genes(profiles: Profiles) -> Profiles:
    """Without the rows in which counting programs keep reads of no gene."""
    names = profiles.genes
    summary = np.array([OF_NO_GENE.fullmatch(name) is not None for name in names], dtype=bool)
    if len(OF_HTSEQ.intersection(names.tolist())) > 2:
        summary |= np.isin(names.astype(str), sorted(OF_HTSEQ))
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


# --- text and workbooks --------------------------------------------------------------------------------------------


class _Layout(NamedTuple):
    """How the columns of a table lie: names over all of them, lines above the values, and the samples' places."""

    names: list[str]
    line: int
    samples: list[int]
    described: tuple[str, ...]


def _layout(path: Path, rows: Sequence[tuple[int, list[str]]]) -> _Layout:
    """Find the heading of a table of genes x samples, also one name short as R writes it by default.

    Raises:
        DataError: there is none, or it is no matrix.
    """
    top = sheets.heading(rows)
    names = top.names if top else []
    if top is None or len(names) < 2:
        raise DataError(
            f"The heading of '{path.name}' holds {len(names)} columns; give genes in the first column and one "
            "column per sample, separated by commas, semicolons or tabs.",
            file=path.name,
        )
    if re.match(r"ENS[A-Z]*G\d|__|N_unmapped", names[0]) and all(re.fullmatch(r"\d+", name) for name in names[1:]):
        raise DataError(
            f"The first line of '{path.name}' holds counts of '{names[0]}', not names of samples: join the tables of "
            "all samples and write a heading, genes first.",
            file=path.name,
            value=names[0],
        )
    if names[0] == "Status" and any(row and row[0].startswith("Unassigned") for _, row in rows):
        raise DataError(f"'{path.name}' is the summary of featureCounts: give its table of counts.", file=path.name)
    has_facts = tuple(names[1:6]) == OF_FEATURE_COUNTS
    samples = [at for at in range(6 if has_facts else 1, len(names)) if names[at] or _is_used(rows[top.at + 1 :], at)]
    return _Layout(names, top.line, samples, OF_FEATURE_COUNTS if has_facts else ())


def _is_used(rows: Sequence[tuple[int, list[str]]], at: int) -> bool:
    return any(len(row) > at and cleaned(row[at]) for _, row in rows)


def _text(path: Path, sparse: bool) -> Profiles:
    encoding = encoding_of(path)
    sep = grids.separator(path, encoding)
    rows = list(grids.text_rows(path, encoding, sep, grids.LOOKED_AT))
    layout = _layout(path, rows)
    point = _decimal_point(path, rows, sep)
    if any(cell != cleaned(cell) for line, row in rows if line > layout.line for cell in row[1:]):
        return _of_rows(path, layout, list(grids.text_rows(path, encoding, sep)), sparse, point)
    blocks = _text_blocks(path, encoding, sep, point, layout, _width(rows, layout))
    profiles = _from_blocks([layout.names[at] for at in layout.samples], blocks, sparse)
    return profiles._replace(left_out=layout.described)


def _width(rows: Sequence[tuple[int, list[str]]], layout: _Layout) -> int:
    """Cells of a line, those of empty columns at its end included."""
    return max([len(layout.names), *(len(row) for line, row in rows if line > layout.line)])


def _decimal_point(path: Path, rows: Sequence[tuple[int, list[str]]], sep: str) -> str:
    """The sign before decimals.

    Raises:
        DataError: commas stand in numbers where they may be of thousands.
    """
    commas = [cell for _, row in rows for cell in row[1:] if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", cell)]
    if sep == "," or not commas:
        return "."
    if all(re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", cell.strip()) for cell in commas):
        raise DataError(
            f"'{commas[0]}' in '{path.name}' may be {commas[0].replace(',', '.')} or {commas[0].replace(',', '')}: "
            "save the numbers without a separator of thousands.",
            value=commas[0],
            file=path.name,
        )
    return ","


def _text_blocks(path: Path, encoding: str, sep: str, point: str, layout: _Layout, width: int) -> Iterator[Block]:
    from pyarrow import csv as arrow_csv

    columns = [str(place) for place in range(width)]
    wanted = [str(place) for place in layout.samples]
    types = {name: pa.float64() for name in wanted} | {"0": pa.string()}
    try:
        with open_bytes(path) as raw:
            reader = arrow_csv.open_csv(
                raw,
                arrow_csv.ReadOptions(
                    column_names=columns,
                    skip_rows=layout.line,
                    block_size=TEXT_BLOCK_BYTES,
                    encoding="utf-8" if encoding == "utf-8-sig" else encoding,
                ),
                arrow_csv.ParseOptions(delimiter=sep),
                arrow_csv.ConvertOptions(column_types=types, include_columns=["0", *wanted], decimal_point=point),
            )
            for batch in reader:
                yield _filled(batch.column(0).to_pylist(), _dense(batch.columns[1:], batch.num_rows))
    except pa.ArrowInvalid as problem:
        raise _not_a_number(path, layout, str(problem)) from None


def _filled(names: list[Any], values: npt.NDArray[np.float64]) -> Block:
    """Genes and values without the rows that hold nothing at all."""
    names = [cleaned(name) if isinstance(name, str) else "" for name in names]
    used = [at for at, name in enumerate(names) if name or not np.isnan(values[at]).all()]
    return (names, values) if len(used) == len(names) else ([names[at] for at in used], values[used])


def _not_a_number(path: Path, layout: _Layout, problem: str) -> DataError:
    match = re.search(r"column #(\d+).*invalid value '(.*)'", problem)
    if not match or layout.names[int(match[1])] == "":
        return DataError(_unreadable(path, ValueError(problem)), file=path.name)
    return _no_number(path, match[2], layout.names[int(match[1])])


def _no_number(path: Path, text: str, sample: str) -> DataError:
    return DataError(
        f"The matrix '{path.name}' holds '{text}' in the column of sample '{sample}': give numbers only.",
        file=path.name,
        column=sample,
        value=text,
    )


def _workbook(path: Path, sparse: bool) -> Profiles:
    filled = grids.grids(path)
    if len(filled) != 1:
        names = ", ".join(f"'{grid.name}'" for grid in filled) or "none"
        raise DataError(
            f"'{path.name}' has {len(filled)} worksheets that hold something ({names}): save the matrix alone, as .csv "
            "or in a workbook of its own.",
            file=path.name,
        )
    return _of_rows(path, _layout(path, filled[0].rows), filled[0].rows, sparse)


def _of_rows(
    path: Path, layout: _Layout, rows: Sequence[tuple[int, list[str]]], sparse: bool, point: str = "."
) -> Profiles:
    """A matrix of cells of text, all at once."""
    body = [row for line, row in rows if line > layout.line and any(map(cleaned, row))]
    numbers = [[_number(path, layout, row, at, point) for at in layout.samples] for row in body]
    values = np.array(numbers, dtype=np.float64).reshape(len(body), len(layout.samples))
    blocks = [([cleaned(row[0]) for row in body], values)] if body else []
    profiles = _from_blocks([layout.names[at] for at in layout.samples], blocks, sparse)
    return profiles._replace(left_out=layout.described)


def _number(path: Path, layout: _Layout, row: list[str], at: int, point: str) -> float:
    text = cleaned(row[at]).replace(point, ".") if at < len(row) else ""
    try:
        return float(text) if text not in ("", "NA") else np.nan
    except ValueError:
        raise _no_number(path, text, layout.names[at]) from None


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
        parts.append(sp.csr_array(_as_counts(block)) if sparse else block)
    if not genes:
        raise DataError("The matrix holds no gene: it has a heading and nothing below it.")
    stacked = sp.vstack(parts, format="csr") if sparse else np.concatenate(parts)
    return Profiles(_names(samples), _names(genes), stacked.T)


def _names(names: Iterable[Any]) -> Names:
    return np.array(["" if name is None else cleaned(str(name)) for name in names], dtype=object)


def _as_counts(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
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
                raise DataError(
                    f"The column '{name}' of '{path.name}' holds {kind}, not numbers: give one per sample.",
                    column=name,
                    file=path.name,
                )
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

    with h5py.File(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AnnData warns of what versions before 0.7 left out
        if "X" not in file:
            raise DataError(f"'{path.name}' has no matrix X: store the values there.", file=path.name)
        values = read_elem(file["X"])
        samples, genes = (_names(Annotations(file, axis).names()) for axis in ("obs", "var"))
    return Profiles(samples, genes, _as_wanted(values, sparse))


def _gct(path: Path, sparse: bool) -> Profiles:
    return _of_lincs(gct.read(path), sparse)


def _gctx(path: Path, sparse: bool) -> Profiles:
    return _of_lincs(gctx.Gctx(path).read(), sparse)


def _of_lincs(profiles: gct.Profiles, sparse: bool) -> Profiles:
    return Profiles(_names(profiles.columns.index), _names(profiles.rows.index), _as_wanted(profiles.values, sparse))


def _folder(folder: Path, sparse: bool) -> Profiles:
    samples, genes, values = read_folder(folder)
    return Profiles(_names(samples), _names(genes), _as_wanted(values, sparse))


def _as_wanted(values: Any, sparse: bool) -> Any:
    if not sparse:
        return (values.toarray() if sp.issparse(values) else np.asarray(values)).astype(np.float64, copy=False)
    kept = values if sp.issparse(values) and values.format == "csr" else sp.csc_array(values)
    kept.sum_duplicates()
    kept.eliminate_zeros()
    kept.data = _as_counts(kept.data)
    return kept
