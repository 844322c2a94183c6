"""The items of R's serialization, versions 2 and 3, read one after the other (R Internals, section 1.8).

The document order is kept: of a vector first the values, then its attributes. Numeric vectors are held as the
flat positions and values of their non-zeros, so that a count matrix never exists densely.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pbdb.common.errors import DataError
from pbdb.readers.rstream import NA_INTEGER, Ascii, Feed, Xdr

_HAS_ATTRIBUTES = 0x200
_HAS_TAG = 0x400
_LATIN1 = 0x4 << 12
_UTF8 = 0x8 << 12

_NULL, _SYMBOL, _PAIRLIST, _CHARSXP, _LIST, _REFERENCE = 254, 1, 2, 9, 19, 255
_PAIRED = {2: "pairlist", 3: "closure", 5: "promise", 6: "language", 17: "dots"}
_FORMS: dict[bytes, type[Xdr | Ascii]] = {
    b"RDX2\nX\n": Xdr,
    b"RDX3\nX\n": Xdr,
    b"RDA2\nA\n": Ascii,
    b"RDA3\nA\n": Ascii,
}
_CONSTANTS = {
    241: "base environment",
    242: "empty environment",
    250: "base namespace",
    251: "missing argument",
    252: "unbound value",
    253: "global environment",
}


@dataclass(slots=True)
class Sparse:
    """A numeric vector: flat positions (int64, rising) and values of what is not zero."""

    length: int
    positions: NDArray[np.int64]
    values: NDArray[Any]

    def dense(self) -> NDArray[Any]:
        """Every value."""
        full = np.zeros(self.length, self.values.dtype)
        full[self.positions] = self.values
        return full


@dataclass(slots=True)
class Item:
    """One R object. `kind` is R's word for its type; `value` depends on it.

    double, integer, logical: Sparse, or an array where R stored a sequence. character: list of str or None.
    list, expression: list of Item. pairlist, language and the like: list of (tag or None, Item).
    """

    kind: str
    value: Any = None
    attributes: dict[str, Item] = field(default_factory=dict)


class Items:
    """Reader of one serialization stream."""

    def __init__(self, feed: Feed, stream: Xdr | Ascii):
        self._feed = feed
        self._stream = stream
        self._references: list[Item] = []
        self._encoding = self._header()

    def variables(self) -> Iterator[tuple[str, int]]:
        """Name and flags of each saved variable; the caller reads its value before asking for the next."""
        while (flags := self.flags()) & 255 == _PAIRLIST:
            self.attributes(flags)
            tag = self.item()
            if tag.kind != "symbol":
                raise self._feed.damaged(f"holds a variable without a name at byte {self._stream.position}")
            yield tag.value, self.flags()
        if flags & 255 != _NULL:
            raise self.unexpected("a list of saved variables", flags)

    def elements(self, flags: int, what: str) -> Iterator[int]:
        """Flags of each element of a list; the caller reads its body, and `attributes` after the last."""
        if flags & 255 != _LIST:
            raise self.unexpected(what, flags)
        for _ in range(self._length()):
            yield self.flags()

    def flags(self) -> int:
        """The word every item begins with: type in the low byte, then marks."""
        return self._stream.integer()

    def item(self) -> Item:
        """The next item, whole."""
        return self.body(self.flags())

    def body(self, flags: int) -> Item:
        """The item whose flags have been read."""
        code = flags & 255
        if code in _CONSTANTS:
            return Item(_CONSTANTS[code])
        read = _READ.get(code)
        if read is None:
            raise self.unexpected("an R object that holds data", flags)
        return read(self, flags)

    def attributes(self, flags: int) -> dict[str, Item]:
        """The attributes of an item, by name: after its values, but before those of a pair."""
        return self._by_name(self.item()) if flags & _HAS_ATTRIBUTES else {}

    def finish(self) -> None:
        """Read on to the end of the file, so that its checksum is verified."""
        while self._feed.read():
            pass

    def unexpected(self, expected: str, flags: int) -> DataError:
        """The error for an item of another type than expected."""
        at = self._stream.position
        return DataError(
            f"{self._feed.path} has R type {flags & 255} at byte {at} where {expected} should be: "
            "check that the file is the published one and complete.",
            file=str(self._feed.path),
        )

    def _header(self) -> str:
        version = self._stream.integer()
        if version not in (2, 3):
            raise DataError(
                f"{self._feed.path} is of serialization version {version}: save it with version 2 or 3.",
                file=str(self._feed.path),
            )
        self._stream.integer()
        self._stream.integer()
        if version == 2:
            return "utf-8"
        name = self._stream.text(self._stream.integer()).decode("ascii", "replace")
        try:
            return codecs.lookup(name).name
        except (LookupError, ValueError):
            return "utf-8"

    def _length(self) -> int:
        n = self._stream.integer()
        if n == -1:
            n = (self._stream.integer() << 32) + (self._stream.integer() & 0xFFFFFFFF)
        if n < 0:
            raise self._feed.damaged(f"holds a vector of length {n} at byte {self._stream.position}")
        return n

    def _null(self, flags: int) -> Item:
        return Item("null")

    def _symbol(self, flags: int) -> Item:
        return self._remember(Item("symbol", self.item().value))

    def _reference(self, flags: int) -> Item:
        index = flags >> 8 or self._stream.integer()
        if not 0 < index <= len(self._references):
            raise self._feed.damaged(f"refers to an unknown object at byte {self._stream.position}")
        return self._references[index - 1]

    def _remember(self, item: Item) -> Item:
        self._references.append(item)
        return item

    def _paired(self, flags: int) -> Item:
        """A chain of pairs: of each the attributes, tag and value come before the rest of the chain."""
        kind, pairs = _PAIRED[flags & 255], []
        attributes = self.attributes(flags)
        while True:
            tag = self.item().value if flags & _HAS_TAG else None
            pairs.append((tag, self.item()))
            flags = self.flags()
            if flags & 255 not in _PAIRED:
                break
            self.attributes(flags)
        tail = self.body(flags)
        if tail.kind != "null":  # a dotted pair
            pairs.append((None, tail))
        return Item(kind, pairs, attributes)

    def _environment(self, flags: int) -> Item:
        environment = self._remember(Item("environment"))
        self._stream.integer()  # locked or not
        environment.value = [self.item() for _ in ("enclosure", "frame", "hash table")]
        environment.attributes = self._by_name(self.item())
        return environment

    def _named_environment(self, flags: int) -> Item:
        """A namespace or package: its name and version."""
        self._stream.integer()
        return self._remember(Item("environment", [self.item().value for _ in range(self._length())]))

    def _external_pointer(self, flags: int) -> Item:
        pointer = self._remember(Item("external pointer"))
        pointer.value = [self.item(), self.item()]
        pointer.attributes = self.attributes(flags)
        return pointer

    def _weak_reference(self, flags: int) -> Item:
        weak = self._remember(Item("weak reference"))
        weak.attributes = self.attributes(flags)
        return weak

    def _builtin(self, flags: int) -> Item:
        return Item("builtin", self._stream.text(self._stream.integer()).decode("utf-8", "replace"))

    def _s4(self, flags: int) -> Item:
        return Item("S4", None, self.attributes(flags))

    def _charsxp(self, flags: int) -> Item:
        n = self._stream.integer()
        if n == -1:
            return Item("char", None)
        return Item("char", self._decode(self._stream.text(n), flags))

    def _decode(self, raw: bytes, flags: int) -> str:
        if flags & _LATIN1:
            return raw.decode("latin-1")
        try:
            return raw.decode("utf-8" if flags & _UTF8 else self._encoding)
        except UnicodeDecodeError as error:
            at = self._stream.position
            raise DataError(
                f"{self._feed.path} holds a text that is not {error.encoding} before byte {at}: "
                "save it again from an R session in UTF-8.",
                file=str(self._feed.path),
            ) from error

    def _character(self, flags: int) -> Item:
        return Item("character", [self._string() for _ in range(self._length())], self.attributes(flags))

    def _string(self) -> str | None:
        flags, n = self._stream.two_integers()
        if flags & 255 != _CHARSXP:
            raise self.unexpected("a string", flags)
        return None if n == -1 else self._decode(self._stream.text(n), flags)

    def _list(self, flags: int) -> Item:
        kind = "list" if flags & 255 == _LIST else "expression"
        return Item(kind, [self.item() for _ in range(self._length())], self.attributes(flags))

    def _logical(self, flags: int) -> Item:
        return Item("logical", self._sparse(np.int32), self.attributes(flags))

    def _integer(self, flags: int) -> Item:
        return Item("integer", self._sparse(np.int32), self.attributes(flags))

    def _double(self, flags: int) -> Item:
        return Item("double", self._sparse(np.float64), self.attributes(flags))

    def _complex(self, flags: int) -> Item:
        parts = self._dense(2 * self._length(), np.float64)
        return Item("complex", parts.view(np.complex128), self.attributes(flags))

    def _raw(self, flags: int) -> Item:
        return Item("raw", self._dense(self._length(), np.uint8).tobytes(), self.attributes(flags))

    def _dense(self, n: int, dtype: type[np.generic]) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *self._copied(n, dtype)])

    def _copied(self, n: int, dtype: type[np.generic]) -> Iterator[NDArray[Any]]:
        for block in self._stream.array(n, dtype):
            yield block.astype(dtype)

    def _sparse(self, dtype: type[np.generic]) -> Sparse:
        """Keep the non-zeros; their bits are looked at, so NA and NaN stay."""
        n, seen = self._length(), 0
        positions, values = [np.empty(0, np.int64)], [np.empty(0, dtype)]
        for block in self._stream.array(n, dtype):
            found = np.flatnonzero(block.view(f"u{block.itemsize}") != 0)
            values.append(block[found].astype(dtype))
            positions.append(found + seen)
            seen += len(block)
        return Sparse(n, np.concatenate(positions), np.concatenate(values))

    def _altrep(self, flags: int) -> Item:
        """A vector stored as a rule."""
        info, state, attributes = self.item(), self.item(), self._by_name(self.item())
        try:
            name = info.value[0][1].value
            item = _expanded(name, state)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise self._feed.damaged(f"holds a malformed vector before byte {self._stream.position}") from error
        if item is None:
            raise DataError(
                f"{self._feed.path} holds a vector of the R class '{name}': save a plain copy of it.",
                file=str(self._feed.path),
                value=name,
            )
        return Item(item.kind, item.value, attributes)

    def _by_name(self, item: Item) -> dict[str, Item]:
        if item.kind not in ("null", "pairlist"):
            raise self._feed.damaged(f"holds malformed attributes before byte {self._stream.position}")
        return {tag: value for tag, value in item.value or () if isinstance(tag, str)}


def _expanded(name: str, state: Item) -> Item | None:
    """The vector of an ALTREP class: a sequence, a wrapper, or numbers yet to be printed."""
    if name in ("compact_intseq", "compact_realseq"):
        return _sequence(name, state)
    if name.startswith("wrap_"):
        return _first(state)
    if name == "deferred_string":
        return Item("character", _printed(_first(state)))
    return None


def _sequence(name: str, state: Item) -> Item:
    n, first, step = state.value.dense().tolist()
    integer = name == "compact_intseq"
    limit = 2.0**31 if integer else 1e300
    if not (0 <= n < 2**31 and abs(first) <= limit and abs(first + step * n) <= limit):
        raise ValueError("the ends of a sequence")
    values = first + step * np.arange(int(n))
    return Item("integer", values.astype(np.int32)) if integer else Item("double", values)


def _first(state: Item) -> Item:
    """The vector in a state, which R writes as a list or as a (dotted) pair."""
    first = state.value[0]
    return first if isinstance(first, Item) else first[1]


def _printed(item: Item) -> list[str | None]:
    """Numbers as R's as.character gives them."""
    values = item.value.dense() if isinstance(item.value, Sparse) else item.value
    if item.kind == "integer":
        return [None if value == NA_INTEGER else str(value) for value in values]
    return [print_double(float(value)) for value in values]


def print_double(value: float) -> str | None:
    """A double in at most 15 significant digits, fixed unless scientific is shorter, as R's as.character."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    digits, _, exponent = f"{value + 0.0:.14e}".partition("e")  # adding zero drops its sign
    digits = digits.rstrip("0").rstrip(".")
    scientific = f"{digits}e{int(exponent):+03d}"
    decimals = max(0, len(digits.lstrip("-").replace(".", "")) - 1 - int(exponent))
    fixed = f"{value + 0.0:.{decimals}f}"
    return fixed if len(fixed) <= len(scientific) else scientific


_READ: dict[int, Callable[[Items, int], Item]] = {
    _NULL: Items._null,
    _REFERENCE: Items._reference,
    _SYMBOL: Items._symbol,
    **dict.fromkeys(_PAIRED, Items._paired),
    4: Items._environment,
    **dict.fromkeys((7, 8), Items._builtin),
    _CHARSXP: Items._charsxp,
    10: Items._logical,
    13: Items._integer,
    14: Items._double,
    15: Items._complex,
    16: Items._character,
    **dict.fromkeys((_LIST, 20), Items._list),
    22: Items._external_pointer,
    23: Items._weak_reference,
    24: Items._raw,
    25: Items._s4,
    238: Items._altrep,
    **dict.fromkeys((247, 248, 249), Items._named_environment),
}


@contextmanager
def open_items(path: Path) -> Iterator[Items]:
    """Open an RData file, compressed or not, for reading item by item.

    Raises:
        DataError: not an RData file, damaged, or incomplete.
        SourceError: there is no such file.
    """
    with Feed(path) as feed:
        chunk = feed.read()
        form = _FORMS.get(chunk[:7])
        if form is None:
            raise DataError(f"{path} is not an RData file: give a file written by R's save().", file=str(path))
        try:
            yield Items(feed, form(feed, chunk[7:]))
        except RecursionError as error:
            raise feed.damaged(f"nests deeper than any data before byte {feed.n_read}") from error
