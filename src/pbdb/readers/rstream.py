"""The bytes of an RData file: decompressed ahead of the reader, then taken apart as XDR or as ASCII.

The two forms offer the same things: `integer`, `two_integers`, `text`, `array` and `position`.
"""

from __future__ import annotations

import lzma
import math
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pbdb.common.errors import DataError, SourceError
from pbdb.readers.opening import open_packed

NA_INTEGER = -(2**31)

_CHUNK = 1 << 22
_LONGEST_STRING = 1 << 26  # far above any name or label; what a damaged length would ask for is refused
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError)
_INTEGER, _TWO_INTEGERS = Struct(">i"), Struct(">ii")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"v": b"\v", b"b": b"\b", b"r": b"\r", b"f": b"\f", b"a": b"\a"}


class Feed:
    """The decompressed content of a file in large chunks, one of them always read ahead in a thread.

    Raises:
        SourceError: there is no such file.
        DataError: from `read`, when the compressed data are damaged or end early.
    """

    def __init__(self, path: Path):
        self.path = path
        self.n_read = 0
        self._file = _open(path)
        self._pool = ThreadPoolExecutor(1)
        self._next = self._pool.submit(self._file.read, _CHUNK)

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        self._file.close()

    def read(self) -> bytes:
        """The next chunk; empty at the end of the file."""
        try:
            chunk = self._next.result()
        except _BROKEN as error:
            raise self.damaged(f"cannot be decompressed after byte {self.n_read} ({error})") from error
        if chunk:
            self.n_read += len(chunk)
            self._next = self._pool.submit(self._file.read, _CHUNK)
        return chunk

    def need(self) -> bytes:
        """The next chunk, which must not be empty."""
        chunk = self.read()
        if not chunk:
            raise self.damaged(f"ends too early, at byte {self.n_read}")
        return chunk

    def damaged(self, what: str) -> DataError:
        """The error for this file; positions in `what` are those of the decompressed content."""
        return DataError(f"{self.path} {what}: the file is damaged or incomplete; fetch it again.", file=str(self.path))


def _open(path: Path) -> IO[bytes]:
    try:
        return open_packed(path)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror}): give the path of an RData file.", file=str(path)
        ) from error


class Xdr:
    """Big-endian binary form."""

    def __init__(self, feed: Feed, chunk: bytes):
        self._feed = feed
        self._chunk = chunk
        self._at = 0

    @property
    def position(self) -> int:
        """Bytes of decompressed content taken so far."""
        return self._feed.n_read - len(self._chunk) + self._at

    def integer(self) -> int:
        """One 32-bit integer."""
        if self._at + 4 > len(self._chunk):
            self._hold(4)
        value: int = _INTEGER.unpack_from(self._chunk, self._at)[0]
        self._at += 4
        return value

    def two_integers(self) -> tuple[int, int]:
        """Two 32-bit integers: the head of a string, of which a plate has seventy thousand."""
        if self._at + 8 > len(self._chunk):
            self._hold(8)
        pair: tuple[int, int] = _TWO_INTEGERS.unpack_from(self._chunk, self._at)
        self._at += 8
        return pair

    def text(self, n: int) -> bytes:
        """The n bytes of a string."""
        if n < 0 or self._at + n > len(self._chunk):
            self._hold(n)
        start = self._at
        self._at += n
        return self._chunk[start : self._at]

    def array(self, n: int, dtype: type[np.generic]) -> Iterator[NDArray[Any]]:
        """Give n numbers as arrays of at most a chunk each, big-endian."""
        stored = np.dtype(dtype).newbyteorder(">")
        while n:
            if len(self._chunk) - self._at < stored.itemsize:
                self._hold(stored.itemsize)
            count = min(n, (len(self._chunk) - self._at) // stored.itemsize)
            yield np.frombuffer(self._chunk, stored, count, self._at)
            self._at += count * stored.itemsize
            n -= count

    def _hold(self, n: int) -> None:
        """Make the next n bytes lie in one piece."""
        if not 0 <= n <= _LONGEST_STRING:
            raise self._feed.damaged(f"holds a string of {n} bytes at byte {self.position}")
        parts = [self._chunk[self._at :]]
        missing = n - len(parts[0])
        while missing > 0:
            parts.append(self._feed.need())
            missing -= len(parts[-1])
        self._chunk, self._at = b"".join(parts), 0


class Ascii:
    """Text form: one number or escaped string a line. Positions are those of the chunk being read."""

    def __init__(self, feed: Feed, chunk: bytes):
        self._feed = feed
        self._rest = b""
        self._tokens: list[bytes] = []
        self._at = 0
        self._split(chunk)

    @property
    def position(self) -> int:
        """Bytes of decompressed content read so far."""
        return self._feed.n_read

    def integer(self) -> int:
        """One integer."""
        (token,) = self._take(1)
        return int(self._numbers([token], np.int32)[0])

    def two_integers(self) -> tuple[int, int]:
        """Two integers."""
        return self.integer(), self.integer()

    def text(self, n: int) -> bytes:
        """The n bytes of a string, escapes undone."""
        if n == 0:
            return b""
        (token,) = self._take(1)
        unescaped = _ESCAPE.sub(_unescape, token)
        if len(unescaped) != n:
            raise self._feed.damaged(f"holds a string of a wrong length before byte {self.position}")
        return unescaped

    def array(self, n: int, dtype: type[np.generic]) -> Iterator[NDArray[Any]]:
        """Give n numbers as arrays of at most a chunk each."""
        while n:
            tokens = self._take(n)
            yield self._numbers(tokens, dtype)
            n -= len(tokens)

    def _take(self, most: int) -> list[bytes]:
        """At least one token, at most the given number of them."""
        while self._at == len(self._tokens):
            self._more()
        tokens = self._tokens[self._at : self._at + most]
        self._at += len(tokens)
        return tokens

    def _more(self) -> None:
        chunk = self._feed.read()
        if not chunk and not self._rest:
            self._feed.need()
        self._split(chunk or b"\n")

    def _split(self, chunk: bytes) -> None:
        """Cut into tokens, and keep back the last one, which may go on in the next chunk."""
        lines, _, self._rest = (self._rest + chunk).rpartition(b"\n")
        self._tokens, self._at = lines.split(), 0

    def _numbers(self, tokens: list[bytes], dtype: type[np.generic]) -> NDArray[Any]:
        try:
            return np.array([_PARSE[dtype](token) for token in tokens], dtype)
        except (ValueError, OverflowError) as error:
            raise self._feed.damaged(f"holds a malformed number before byte {self.position}") from error


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1] in b"01234567":
        return bytes([int(code, 8) & 255])
    return _ESCAPED.get(code, code)


def _parse_integer(token: bytes) -> int:
    return NA_INTEGER if token == b"NA" else int(token)


def _parse_double(token: bytes) -> float:
    if token == b"NA":
        return math.nan
    return float.fromhex(token.decode()) if b"x" in token else float(token)


_PARSE: dict[type[np.generic], Any] = {
    np.int32: _parse_integer,
    np.float64: _parse_double,
    np.uint8: lambda token: int(token, 16),
}
