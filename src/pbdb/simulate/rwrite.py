"""Write R's save() format (XDR, versions 2 and 3): what simulated releases and tests of the reader need.

Lists and matrices may be given as generators, so that a file may be larger than the memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NA_INTEGER = -(2**31)

_ATTRIBUTES, _TAG = 0x200, 0x400
_SYMBOL, _PAIRLIST, _CHARSXP, _LOGICAL, _INTEGER, _DOUBLE, _CHARACTER, _LIST = 1, 2, 9, 10, 13, 14, 16, 19
_NULL, _REFERENCE = 254, 255
_ASCII, _UTF8 = 64 << 12, 8 << 12
_WORD = Struct(">i")
_R_RELEASE, _OLDEST = 0x40202, {2: 0x20300, 3: 0x30500}  # R 4.2.2; the oldest R that reads each version


@dataclass(frozen=True)
class Named:
    """A list with names whose elements may be made while they are written."""

    names: Sequence[str]
    elements: Iterable[Any]


@dataclass(frozen=True)
class Matrix:
    """A matrix: blocks of whole columns (rows x some columns, all of one type), and its dimnames."""

    rows: Sequence[str]
    columns: Sequence[str]
    blocks: Iterable[NDArray[Any]]


@dataclass(frozen=True)
class Vector:
    """A vector with attributes of its own."""

    values: NDArray[Any] | Sequence[str | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def save(path: Path, variables: Mapping[str, Any], *, compress: str = "gzip", level: int = 6, version: int = 3) -> None:
    """Write variables to an RData file; the same variables give the same bytes.

    Values: None, text, arrays, `Vector`, `Matrix`, pandas DataFrame and Categorical, list, dict and `Named`.
    compress: gzip (of a level), bzip2, xz or none.
    """
    with _target(path, compress, level) as file:
        file.write(b"RDX%d\nX\n" % version)
        writer = Writer(file)
        for word in (version, _R_RELEASE, _OLDEST[version]):
            writer.word(word)
        if version == 3:
            writer.word(5)
            file.write(b"UTF-8")
        writer.pairs(variables)


@contextmanager
def _target(path: Path, compress: str, level: int) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        if compress == "none":
            yield file
            return
        with _compressor(file, compress, level) as packed:
            yield packed


def _compressor(file: BinaryIO, compress: str, level: int) -> BinaryIO:
    if compress == "gzip":  # without name and time, so that the same content is the same file
        return cast(BinaryIO, gzip.GzipFile("", "wb", level, file, mtime=0))
    return cast(BinaryIO, {"bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}[compress](file, "wb"))


class Writer:
    """One serialization stream."""

    def __init__(self, file: BinaryIO):
        self._write = file.write
        self._symbols: dict[str, int] = {}

    def word(self, value: int) -> None:
        """A 32-bit integer."""
        self._write(_WORD.pack(value))

    def text(self, value: str | None) -> None:
        """One string, or NA."""
        if value is None:
            self._write(_WORD.pack(_CHARSXP) + _WORD.pack(-1))
            return
        raw = value.encode()
        self.word(_CHARSXP | (_ASCII if value.isascii() else _UTF8))
        self._write(_WORD.pack(len(raw)) + raw)

    def symbol(self, name: str) -> None:
        """A name; from its second use on a reference to the first."""
        if name in self._symbols:
            self.word(self._symbols[name] << 8 | _REFERENCE)
            return
        self._symbols[name] = len(self._symbols) + 1
        self.word(_SYMBOL)
        self.text(name)

    def pairs(self, values: Mapping[str, Any]) -> None:
        """A chain of named values; empty it is NULL."""
        for name, value in values.items():
            self.word(_PAIRLIST | _TAG)
            self.symbol(name)
            self.item(value)
        self.word(_NULL)

    def item(self, value: Any) -> None:
        """Any value."""
        for kind, write in _WRITE.items():
            if isinstance(value, kind):
                write(self, value)
                return
        raise TypeError(f"R has no counterpart here for {type(value).__name__}")

    def vector(self, values: NDArray[Any] | Sequence[str | None], attributes: Mapping[str, Any]) -> None:
        """Numbers, truth values or strings, then their attributes."""
        mark = _ATTRIBUTES if attributes else 0
        array = np.asarray(values)
        if array.dtype.kind in "OUT":
            self._start(_CHARACTER | mark, len(array))
            for text in array.tolist():
                self.text(text)
        else:
            code, dtype = _NUMBERS[array.dtype.kind]
            self._start(code | mark, len(array))
            self._write(array.astype(dtype).tobytes())
        if attributes:
            self.pairs(attributes)

    def _start(self, flags: int, length: int) -> None:
        self.word(flags)
        self.word(length)

    def _named(self, names: Collection[str], elements: Iterable[Any]) -> None:
        self._list(elements, len(names), {"names": _strings(names)})

    def _list(self, elements: Iterable[Any], length: int, attributes: Mapping[str, Any]) -> None:
        self._start(_LIST | (_ATTRIBUTES if attributes else 0), length)
        for element in elements:
            self.item(element)
        if attributes:
            self.pairs(attributes)

    def _matrix(self, matrix: Matrix) -> None:
        blocks = iter(matrix.blocks)
        first = next(blocks)
        code, dtype = _NUMBERS[first.dtype.kind]
        self._start(code | _ATTRIBUTES, len(matrix.rows) * len(matrix.columns))
        self._write(first.T.astype(dtype).tobytes())
        for block in blocks:
            self._write(block.T.astype(dtype).tobytes())
        shape = np.array([len(matrix.rows), len(matrix.columns)])
        self.pairs({"dim": shape, "dimnames": [_strings(matrix.rows), _strings(matrix.columns)]})

    def _frame(self, frame: pd.DataFrame) -> None:
        counted = isinstance(frame.index, pd.RangeIndex)
        rows = np.array([NA_INTEGER, -len(frame)]) if counted else _strings(frame.index)
        attributes = {"names": _strings(frame.columns), "class": _strings(["data.frame"]), "row.names": rows}
        columns = (frame[name].array for name in frame.columns)
        self._list(map(_column, columns), frame.shape[1], attributes)


def _strings(values: Iterable[Any]) -> NDArray[np.object_]:
    return np.array(list(values), dtype=object)


def _column(values: Any) -> Any:
    return values if isinstance(values, pd.Categorical) else values.to_numpy()


def _factor(values: pd.Categorical) -> Vector:
    codes = np.where(values.codes < 0, NA_INTEGER, values.codes + 1)
    return Vector(codes, {"levels": _strings(values.categories), "class": _strings(["factor"])})


_NUMBERS = {"f": (_DOUBLE, ">f8"), "i": (_INTEGER, ">i4"), "u": (_INTEGER, ">i4"), "b": (_LOGICAL, ">i4")}
_WRITE: dict[type, Any] = {
    type(None): lambda writer, value: writer.word(_NULL),
    str: lambda writer, value: writer.vector([value], {}),
    np.ndarray: lambda writer, value: writer.vector(value, {}),
    Vector: lambda writer, value: writer.vector(value.values, value.attributes),
    Matrix: Writer._matrix,
    pd.DataFrame: Writer._frame,
    pd.Categorical: lambda writer, value: writer.item(_factor(value)),
    Named: lambda writer, value: writer._named(value.names, value.elements),
    dict: lambda writer, value: writer._named(value, value.values()),
    list: lambda writer, value: writer._list(value, len(value), {}),
}
