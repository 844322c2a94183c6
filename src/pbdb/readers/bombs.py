"""Small files that claim to be huge: refused before they fill the memory."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pbdb.common.errors import DataError
from pbdb.readers.opening import LONGEST_LINE, STEP, is_gzip, open_bytes

MOST_ROWS = 5_000_000  # of a sheet that is read at once; the largest published ones have 3 million
MOST_GENES = 2_000_000
SLACK, MOST_UNPACKED = 64 << 20, 2000  # deflate packs 1032 bytes into one at most


def require_plausible(path: Path) -> None:
    """Refuse text whose first line does not end, and HDF5 whose arrays no file of its size can hold.

    Raises:
        DataError: it is so; the sentence says where.
    """
    if not path.is_file():
        return
    with path.open("rb") as raw:
        start = raw.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        _require_real_arrays(path)
    elif start[:4] not in (b"PAR1", b"PK\x03\x04"):
        _require_line(path)


def plausible(path: Path) -> Path:
    """The path of a file that `require_plausible` does not refuse."""
    require_plausible(path)
    return path


def bounded(text: IO[str], name: str) -> Iterator[str]:
    """Lines of a text, each of a length that memory holds.

    Raises:
        DataError: a line is longer.
    """
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise _endless(name)
        yield line


def require_rows(n_rows: int, name: str, most: int = MOST_ROWS) -> None:
    """Refuse more rows than any such table has.

    Raises:
        DataError: there are.
    """
    if n_rows > most:
        raise DataError(
            f"'{name}' has more than {most:,} rows, which no such table has: it is damaged or another file.", file=name
        )


def _require_line(path: Path) -> None:
    n_bytes = 0
    with open_bytes(path) as content:
        try:
            while step := content.read(STEP):
                n_bytes += len(step)
                if b"\n" in step or b"\r" in step:
                    return
                if n_bytes > LONGEST_LINE:
                    raise _endless(path.name)
        except (OSError, EOFError):
            return  # its reader says what is damaged


def _endless(name: str) -> DataError:
    return DataError(
        f"A line of '{name}' has no end after {LONGEST_LINE >> 20} MB: the file is damaged or no text.", file=name
    )


def _require_real_arrays(path: Path) -> None:
    import h5py

    most = SLACK + MOST_UNPACKED * path.stat().st_size

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size is not None and item.size * max(1, item.dtype.itemsize) > most:
            raise DataError(
                f"'{path.name}' has {path.stat().st_size:,} bytes and claims an array '{name}' of {item.shape}: it is"
                " damaged, or made to fill the memory.",
                file=path.name,
                value=name,
            )

    try:
        with h5py.File(path) as file:
            file.visititems(check)
    except OSError:
        return  # its reader says what is damaged


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give a file that is no text, such as HDF5, unpacked for as long as it is read.

    Raises:
        DataError: it unpacks to more than any real file does.
    """
    if not path.is_file() or not is_gzip(path):
        yield path
        return
    left = SLACK + MOST_UNPACKED * path.stat().st_size
    with tempfile.TemporaryDirectory(prefix="pbdb-") as folder:
        plain = Path(folder, path.name.removesuffix(".gz"))
        with gzip.open(path) as packed, plain.open("wb") as out:
            while step := packed.read(STEP):
                left -= len(step)
                if left < 0:
                    raise DataError(
                        f"'{path.name}' unpacks to more than a file can: it is made to fill the disk.", file=path.name
                    )
                out.write(step)
        yield plain
