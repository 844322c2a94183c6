"""The cell table of a file: its own columns, a curated table joined by the names of cells, and samples by keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.arrays import Codes
from pbdb.common.errors import DataError
from pbdb.readers.csr import CellMatrix, translate_errors
from pbdb.samples.pseudobulk.cell_filter import Floats
from pbdb.sources.pseudobulk_declaration import Pseudobulk

NULLS = ("", "nan", "NaN", "None", "<NA>", "-666")
INDEX_NAMES = ("__index_level_0__", "index")


@dataclass(frozen=True)
class CellTable:
    """Cells of a range: their samples, and what a sample keeps of them.

    codes: sample of each cell, -1 - k where key k is the first that is null. samples: the keys of each sample, in
    order. constants: a column each, as categories. stated: numbers the filter reads. n_unnamed: cells that the curated
    table does not have.
    """

    codes: Codes
    samples: pd.DataFrame
    constants: pd.DataFrame
    stated: dict[str, Floats]
    n_unnamed: int


def cell_table(matrix: CellMatrix, declared: Pseudobulk, curated: str | None, start: int, stop: int) -> CellTable:
    """Read the cell table of cells start to stop, join the curated one, derive, and find the samples.

    Raises:
        DataError: a column is missing, a cell stands twice in the curated table, or numbers are none.
    """
    cells, n_unnamed = _joined(matrix, declared, curated, start, stop)
    if declared.derive is not None:
        cells = declared.derive(cells)
    wanted = (*declared.keys, *declared.constants, *declared.filter.columns)
    lacking = [name for name in wanted if name not in cells.columns]
    if lacking:
        there = ", ".join(map(str, matrix.obs.columns))
        raise DataError(
            f"'{matrix.name}' has no column '{lacking[0]}' of its cells; it has {there}.",
            file=matrix.name,
            column=lacking[0],
        )
    codes, samples = _samples(pd.DataFrame({key: categories(cells[key]) for key in declared.keys}), declared.order)
    constants = pd.DataFrame({name: categories(cells[name], as_text=False) for name in declared.constants})
    stated = {name: _numbers(matrix.name, cells[name]) for name in declared.filter.columns}
    return CellTable(codes, samples, constants, stated, n_unnamed)


def _joined(
    matrix: CellMatrix, declared: Pseudobulk, curated: str | None, start: int, stop: int
) -> tuple[pd.DataFrame, int]:
    wanted = dict.fromkeys((*declared.keys, *declared.constants, *declared.filter.columns, *declared.columns))
    needs_names = curated is not None or declared.derive is not None
    with translate_errors(matrix.name):
        names = matrix.obs.names(start, stop) if needs_names else np.arange(start, stop)
    joined = _curated(curated, list(wanted), names) if curated is not None else pd.DataFrame(index=range(len(names)))
    n_unnamed = int(joined.pop("unnamed").sum()) if curated is not None else 0
    with translate_errors(matrix.name):
        of_file = {
            name: matrix.obs.column(name, start, stop)
            for name in wanted
            if name in matrix.obs.columns and name not in joined.columns
        }
    return pd.DataFrame({**of_file, **joined}).set_axis(pd.Index(names), axis=0), n_unnamed


def _curated(address: str, wanted: Sequence[str], names: npt.NDArray[Any]) -> pd.DataFrame:
    """Rows of a curated table for cells of these names; `unnamed` where it has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    index, columns = _parquet(address, wanted)
    rows = pc.index_in(pa.array(names, type=index.type), value_set=index)
    if pc.count_distinct(index).as_py() < len(index):
        raise DataError(f"The cell table '{address}' has a cell twice: every cell must be there once.", file=address)
    table: pd.DataFrame = columns.take(rows).to_pandas()
    return table.assign(unnamed=rows.is_null().to_numpy(zero_copy_only=False))


def _parquet(address: str, wanted: Sequence[str]) -> tuple[Any, Any]:
    """Names of cells, and the wanted columns that are there, texts as codes of a dictionary."""
    import fsspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    with translate_errors(address), fsspec.open(address, "rb") as content:
        schema = pq.read_schema(content)
        index = _index_name(schema)
        columns = [name for name in wanted if name in schema.names and name != index]
        texts = [name for name in columns if pa.types.is_string(schema.field(name).type)]
        content.seek(0)
        table = pq.read_table(content, columns=[index, *columns], read_dictionary=texts)
        cells = table.column(index).cast(pa.large_string()).combine_chunks()
        return cells, table.select(columns).replace_schema_metadata(None)


def _index_name(schema: Any) -> str:
    stored = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    named = [name for name in (*stored, *INDEX_NAMES) if isinstance(name, str) and name in schema.names]
    return named[0] if named else str(schema.names[0])


def categories(column: pd.Series[Any], *, as_text: bool = True) -> pd.Series[Any]:
    """A column as sorted categories without nulls in words; numbers that are whole lose their point as text."""
    raw = column.astype("category").cat
    values = _exact(raw.categories)
    texts = [_text(value) if as_text or isinstance(value, str) else value for value in values]
    kept = pd.Index(sorted({text for text in texts if text is not None}, key=_order))
    places = np.append(kept.get_indexer(pd.Index(texts, dtype=kept.dtype)), -1)
    codes = places[raw.codes.to_numpy()]
    return pd.Series(pd.Categorical.from_codes(codes, kept), index=column.index)


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers before texts."""
    return isinstance(value, str), value


def _text(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return None if text in NULLS else text


def _exact(values: pd.Index[Any]) -> list[Any]:
    """Values as Python has them; a float of 32 bits is the shortest decimal that reads back as it."""
    return [float(str(value)) for value in values.to_numpy()] if values.dtype == np.float32 else values.tolist()


def _samples(keys: pd.DataFrame, order: Sequence[str]) -> tuple[Codes, pd.DataFrame]:
    """Number the distinct combinations of keys, sorted by `order`; -1 - k where key k is the first that is null."""
    grouped = keys.groupby(list(order), observed=True, sort=True)
    null = keys.isna().to_numpy()
    codes = np.where(null.any(axis=1), -1 - null.argmax(axis=1), grouped.ngroup())
    return codes.astype(np.int32), grouped.size().index.to_frame(index=False)[list(keys)].astype(object)


def _numbers(what: str, column: pd.Series[Any]) -> Floats:
    """A column of numbers; as it is where it holds floats, so that bounds are compared in their own precision."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return column.to_numpy()
    try:
        return pd.to_numeric(column.astype(object)).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as problem:
        raise DataError(
            f"The column '{column.name}' of the cells of '{what}' holds no numbers ({problem}).",
            file=what,
            column=str(column.name),
        ) from None


def constant_values(name: str, table: CellTable, kept: npt.NDArray[np.bool_]) -> dict[str, list[Any]]:
    """Values of the constants by sample, from the kept cells.

    Raises:
        DataError: a constant is not the same in all kept cells of a sample.
    """
    codes, n = table.codes[kept], len(table.samples)
    values: dict[str, list[Any]] = {}
    for constant in map(str, table.constants.columns):
        column = table.constants[constant].cat
        of_samples, of_cells = np.full(n, -1), column.codes.to_numpy()[kept]
        of_samples[codes] = of_cells
        other = np.flatnonzero(of_samples[codes] != of_cells)
        if len(other):
            raise varies(name, constant, table.samples.iloc[int(codes[other[0]])])
        values[constant] = [*column.categories.tolist(), None]
        values[constant] = [values[constant][place] for place in of_samples]
    return values


def sample_names(samples: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Names of samples: their keys in a row; where two would be one, every key is in brackets."""
    rows = list(samples[list(keys)].itertuples(index=False))
    times = Counter("_".join(row) for row in rows)
    return ["_".join(f"({key})" if times["_".join(row)] > 1 else key for key in row) for row in rows]


def varies(name: str, constant: str, sample: pd.Series[Any]) -> DataError:
    """The error of a constant that is none."""
    return DataError(
        f"'{constant}' differs between cells of the sample {'_'.join(sample)} of '{name}': "
        "a sample has one value of it; make it a key, or leave it out of `constants`.",
        file=name,
        column=constant,
    )
