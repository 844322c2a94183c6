"""Open files as people and publishers pack and encode them: gzip by its first bytes, text by its marks."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from pbdb.common.errors import DataError

DAMAGED = (
    OSError, EOFError, MemoryError, zlib.error, csv.Error, ValueError, LookupError, RuntimeError, pa.ArrowException,
    zipfile.BadZipFile,
)  # fmt: skip
"""What reading a truncated or foreign file raises; UnicodeDecodeError and the parsers of pandas raise ValueErrors."""

UTF_8 = "utf-8-sig"
GZIP = b"\x1f\x8b"
STEP = 1 << 20
LONGEST_LINE = 64 << 20
_PACKED: Mapping[bytes, Callable[[Path], object]] = {GZIP: gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_MARKS = {codecs.BOM_UTF8: UTF_8, codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NO_WINDOWS_TEXT = frozenset(b"\x81\x8d\x8f\x90\x9d") | frozenset(range(9)) | frozenset(range(14, 32)) - {26, 27}


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed, whatever its name says."""
    with path.open("rb") as raw:
        return raw.read(2) == GZIP


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed where its first bytes are those of gzip."""
    return cast(IO[bytes], gzip.open(path)) if is_gzip(path) else path.open("rb")


def open_packed(path: Path) -> IO[bytes]:
    """Open a file, decompressed where its first bytes are those of gzip, bzip2 or xz, which R writes."""
    with path.open("rb") as raw:
        unpacked = _PACKED.get(raw.read(2))
    return cast(IO[bytes], unpacked(path)) if unpacked else path.open("rb")


def open_text(path: Path, encoding: str = UTF_8, newline: str | None = None) -> IO[str]:
    """Open text, decompressed where its first bytes are those of gzip; a byte order mark is no text."""
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline=newline)


def ending(path: Path) -> str:
    """The ending of a file's name in lower case, that of compression left aside: `.csv` of `A.CSV.gz`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix if name.endswith(".gz") else path.suffix.lower()


def starts_with(path: Path, n: int = 8) -> bytes:
    """The first bytes of a file, decompressed."""
    with open_bytes(path) as content:
        return content.read(n)


def marked_encoding(path: Path) -> str | None:
    """The encoding that a byte order mark tells."""
    start = starts_with(path, 4)
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)


def encoding_of(path: Path) -> str:
    """The encoding of a text: what its byte order mark says, else UTF-8, else Windows-1252.

    Raises:
        DataError: it is none of these; the sentence names the line.
    """
    if marked := marked_encoding(path):
        return marked
    start = starts_with(path, 4096)
    for half, name in ((0, "utf-16-be"), (1, "utf-16-le")):  # every second byte of Latin letters is zero
        zeros = start[half::2].count(0)
        if zeros and zeros > 0.6 * len(start[half::2]) and not start[1 - half :: 2].count(0):
            return name
    wrong = _first_not_utf8(path)
    if wrong is None:
        return UTF_8
    line, has_utf8 = wrong
    if has_utf8 or not _is_windows_text(path):
        raise DataError(
            f"Line {line} of '{path.name}' is not UTF-8, in which the rest is written: save the file as 'CSV UTF-8'."
            if has_utf8
            else f"'{path.name}' is no text in UTF-8, UTF-16 or Windows-1252 (line {line}): save it as 'CSV UTF-8'.",
            line=line,
            file=path.name,
        )
    return "cp1252"


def _first_not_utf8(path: Path) -> tuple[int, bool] | None:
    """The first line that is not UTF-8, and whether letters beyond ASCII in UTF-8 stand before it; None: all is."""
    has_utf8 = False
    with open_bytes(path) as content:
        lines = iter(lambda: content.readline(LONGEST_LINE), b"")
        for number, line in enumerate(lines, start=1):
            try:
                has_utf8 |= not line.isascii() and bool(line.decode("utf-8"))
            except UnicodeDecodeError:
                return number, has_utf8
    return None


def _is_windows_text(path: Path) -> bool:
    with open_bytes(path) as content:
        while step := content.read(STEP):
            if not _NO_WINDOWS_TEXT.isdisjoint(step):
                return False
    return True
