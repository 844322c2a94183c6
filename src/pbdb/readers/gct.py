"""GCT 1.2 and 1.3: profiles as tab-separated text, genes in rows, plain or gzip."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.output_files import replacing
from pbdb.readers.opening import DAMAGED, open_text
from pbdb.readers.tables import damaged, missing

ABSENT = frozenset({"", "-666", "-666.0", "na", "NA", "nan", "NaN"})


@dataclass(frozen=True)
class Profiles:
    """A matrix with metadata, as GCT and GCTX files hold it.

    values: profiles x genes, float32. rows: metadata of the genes; columns: of the profiles; both indexed by id.
    """

    values: npt.NDArray[np.float32]
    rows: pd.DataFrame
    columns: pd.DataFrame


def known(values: Iterable[str]) -> npt.NDArray[Any]:
    """Text of a metadata field, None where it says -666, NA or nothing."""
    return np.array([None if value.strip() in ABSENT else value for value in values], dtype=object)


def read(path: Path, rows: Sequence[str] | None = None) -> Profiles:
    """Read a GCT file; `rows` picks genes by id, in their order. Lines may end in any way; metadata stays text.

    Of rows that are not asked for nothing is kept.

    Raises:
        SourceError: there is no such file.
        DataError: it is no GCT file, is damaged, or lacks a row that is asked for.
    """
    if not path.is_file():
        raise missing(path)
    try:
        with open_text(path) as text:
            return _read(path, text, rows)
    except DAMAGED as problem:
        raise damaged(path, problem) from None


@dataclass(frozen=True)
class _Shape:
    """What the first lines of a file say: numbers of rows and columns, fields of rows, lines of column metadata."""

    n_rows: int
    n_columns: int
    n_fields: int
    n_lines: int


def _read(path: Path, text: IO[str], wanted: Sequence[str] | None) -> Profiles:
    lines = (line.rstrip("\n") for line in text)
    shape = _shape(path, next(lines, ""), next(lines, ""))
    header = _filled(next(lines, "").split("\t"))
    width = 1 + shape.n_fields + shape.n_columns
    if len(header) != width:
        raise DataError(
            f"'{path.name}' announces {shape.n_columns} samples, but its heading has "
            f"{len(header) - 1 - shape.n_fields}: correct the sizes in its second line, or get the whole file.",
            file=path.name,
        )
    names = header[1 + shape.n_fields : width]
    described = [line.split("\t") for line in islice(lines, shape.n_lines)]
    _refuse_twice(path, [line[0] for line in described], header[1 : 1 + shape.n_fields])
    columns = pd.DataFrame({line[0]: known(line[1 + shape.n_fields : width]) for line in described}, index=names)
    ids, fields, values = _body(path, lines, shape, None if wanted is None else set(wanted))
    table = pd.DataFrame(fields, columns=header[1 : 1 + shape.n_fields], index=ids, dtype=object)
    return _ordered(path, Profiles(values.T, table.rename_axis("id"), columns.rename_axis("id")), wanted)


def _filled(cells: list[str]) -> list[str]:
    """Cells up to the last that holds something: spreadsheets leave empty ones at the ends of lines."""
    n = len(cells)
    while n and not cells[n - 1].strip():
        n -= 1
    return cells[:n]


def _refuse_twice(path: Path, *fields: Sequence[str]) -> None:
    for names in fields:
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            raise DataError(
                f"'{path.name}' has the field '{twice}' of its metadata twice: rename or delete one.",
                file=path.name,
                value=twice,
            )


def _shape(path: Path, version: str, sizes: str) -> _Shape:
    numbers = sizes.split()
    if version.strip() == "#1.2" and len(numbers) >= 2 and _whole(numbers[:2]):
        return _Shape(int(numbers[0]), int(numbers[1]), 1, 0)
    if version.strip() == "#1.3" and len(numbers) >= 4 and _whole(numbers[:4]):
        return _Shape(*map(int, numbers[:4]))
    raise DataError(
        f"'{path.name}' is no GCT file: it must start with #1.2 or #1.3 and a line of sizes, "
        f"not with '{version[:20]}' and '{sizes[:30]}'.",
        file=path.name,
        value=version[:20],
    )


def _whole(numbers: Sequence[str]) -> bool:
    return all(number.isdecimal() for number in numbers)


def _body(
    path: Path, lines: Iterator[str], shape: _Shape, wanted: set[str] | None
) -> tuple[list[str], list[Any], npt.NDArray[np.float32]]:
    """Ids, metadata and values (genes x profiles) of the rows that are wanted."""
    n = shape.n_rows if wanted is None else min(shape.n_rows, len(wanted))
    ids: list[str] = []
    fields: list[Any] = []
    values = np.empty((n, shape.n_columns), dtype=np.float32)
    n_seen = 0
    for line in lines:
        n_seen += bool(line)
        name, _, rest = line.partition("\t")
        if not line or (wanted is not None and name not in wanted):
            continue
        cells = rest.split("\t")
        if len(ids) < n:
            values[len(ids)] = _numbers(path, name, cells[shape.n_fields :], shape.n_columns)
        ids.append(name)
        fields.append(known(cells[: shape.n_fields]))
    if n_seen != shape.n_rows:
        raise DataError(
            f"'{path.name}' announces {shape.n_rows} rows, but has {n_seen}: it is incomplete.", file=path.name
        )
    return ids, fields, values[: len(ids)]


def _numbers(path: Path, name: str, cells: list[str], n: int) -> npt.NDArray[np.float32]:
    if len(cells) < n or any(cell.strip() for cell in cells[n:]):
        what = "it is incomplete" if len(cells) < n else "its sizes or its heading are wrong"
        raise DataError(
            f"'{path.name}' has {len(cells)} values in row '{name}', not {n}: {what}.", file=path.name, value=name
        )
    try:
        return np.array(["nan" if cell.strip() in ABSENT else cell for cell in cells[:n]], dtype=np.float32)
    except ValueError as problem:
        raise DataError(
            f"'{path.name}' has something that is no number in row '{name}' ({problem}).", file=path.name, value=name
        ) from None


def _ordered(path: Path, profiles: Profiles, wanted: Sequence[str] | None) -> Profiles:
    for table, what in ((profiles.rows, "row"), (profiles.columns, "column")):
        twice = table.index[table.index.duplicated()]
        if len(twice):
            raise DataError(f"'{path.name}' has the {what} '{twice[0]}' twice.", file=path.name, value=twice[0])
    if wanted is None:
        return profiles
    places = profiles.rows.index.get_indexer(pd.Index(wanted))
    if (places < 0).any():
        absent = wanted[int(np.argmax(places < 0))]
        raise DataError(
            f"'{path.name}' has no row '{absent}' ({int((places < 0).sum())} such ids).", file=path.name, value=absent
        )
    return Profiles(profiles.values[:, places], profiles.rows.iloc[places], profiles.columns)


# --- writing -------------------------------------------------------------------------------------------------


def write(path: Path, profiles: Profiles, *, version: str = "1.3", decimals: int = 4) -> None:
    """Write profiles as GCT, gzip where the name ends in .gz; 1.2 keeps one field of the rows and none of the columns.

    decimals: of the values; missing metadata is written as -666, a missing value as nan.
    """
    open_part = gzip.open if path.suffix == ".gz" else open
    with replacing(path) as part, open_part(part, "wt", encoding="utf-8") as text:
        text.writelines("\t".join(line) + "\n" for line in _lines(profiles, version, decimals))


def _lines(profiles: Profiles, version: str, decimals: int) -> Iterator[list[str]]:
    rows, columns = profiles.rows, profiles.columns
    if version == "1.2":
        rows, columns = rows.iloc[:, :1], columns.iloc[:, :0]
        rows = rows if rows.shape[1] else rows.assign(Description=None)
    n_rows, n_columns = len(rows), len(columns)
    sizes = [n_rows, n_columns] if version == "1.2" else [n_rows, n_columns, rows.shape[1], columns.shape[1]]
    yield [f"#{version}"]
    yield [str(size) for size in sizes]
    heading = ["Name", "Description"] if version == "1.2" else ["id", *map(str, rows.columns)]
    yield [*heading, *map(str, columns.index)]
    for name in columns.columns:
        yield [str(name), *["na"] * rows.shape[1], *map(_cell, columns[name])]
    for place, (name, fields) in enumerate(zip(rows.index, rows.to_numpy(dtype=object), strict=True)):
        values = np.char.mod(f"%.{decimals}f", profiles.values[:, place].astype(np.float64))
        yield [str(name), *map(_cell, fields), *values.tolist()]


def _cell(value: Any) -> str:
    return "-666" if pd.isna(value) else str(value)
