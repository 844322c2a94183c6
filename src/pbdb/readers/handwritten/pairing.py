"""Which row of a sheet a sample of a matrix is, also where tools have respelled its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from pathlib import PurePosixPath

from pbdb.common.typed_cells import folded

_OF_ALIGNERS = re.compile(
    r"(\.(bam|sam|cram|counts?|txt|tab|fastq|fq|gz|sorted|dedup|markdup|rmdup))+$|_?\.?Aligned(\.\w+)*$", re.IGNORECASE
)


def of_matrix(names: Sequence[str], samples: Sequence[str]) -> tuple[dict[str, str], str | None]:
    """Names of a sheet with the sample of the matrix each is; names that are none are left out.

    Where not all names are the same, spellings are compared: case, paths and endings of alignments, R's names, wells
    (A1 and A01), numbers (1.0 and 001). One counts if it makes no two names one, and finds more than the names as they
    stand: every one of the sheet or of the matrix. Also returns how, in words.
    """
    there, written = set(samples), set(names)
    same = {name: name for name in names if name in there}
    if len(same) == min(len(written), len(there)):
        return same, None
    for spelling, words in _SPELLINGS:
        theirs = {spelling(sample): sample for sample in samples}
        ours = {spelling(name): name for name in names}
        if len(theirs) == len(there) and len(ours) == len(written) and _is_within(ours.keys(), theirs.keys()):
            return {name: theirs[key] for key, name in ours.items() if key in theirs}, words
    return same, None


def _is_within(ours: Set[str], theirs: Set[str]) -> bool:
    """Whether the smaller one of two sets is part of the other."""
    return bool(ours) and (ours <= theirs or theirs <= ours)


def _without_path(name: str) -> str:
    last, before = PurePosixPath(name.replace("\\", "/")).name, ""
    while last != before:
        before, last = last, _OF_ALIGNERS.sub("", last)
    return folded(last)


def _as_r_writes(name: str) -> str:
    return folded(re.sub(r"[^\w.]|_", ".", re.sub(r"^X(?=[\d._])", "", name)))


def _with_padded_well(name: str) -> str:
    return folded(re.sub(r"(?<![A-Za-z0-9])([A-Pa-p]|[Aa][A-Fa-f])(\d)(?!\d)", r"\g<1>0\2", name))


def _as_number(name: str) -> str:
    return re.sub(r"^0+(?=\d)", "", re.sub(r"\.0+$", "", folded(name)))


_SPELLINGS: tuple[tuple[Callable[[str], str], str], ...] = (
    (folded, "but for case and blanks"),
    (_as_number, "but for zeros of numbers (1, 1.0 and 001)"),
    (_with_padded_well, "but for zeros in wells (A1 and A01)"),
    (_without_path, "but for folders and endings of files"),
    (_as_r_writes, "but for signs that R replaces by points"),
)
