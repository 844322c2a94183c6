"""Cells that people type: what is seen of them, which words say that nothing is known, which texts are one name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

MISSING_WORDS = frozenset(
    {
        "", "na", "n/a", "n.a.", "n. a.", "k.a.", "k. a.", "nan", "nat", "<na>", "null", "none", "nil", "-", "--",
        "---", "\u2013", "\u2014", ".", "?", "??", "missing", "not available", "unknown", "unbekannt", "tbd",
        "-666", "-666.0",
    }
)  # fmt: skip
"""What says that a cell is not known, in lower case: one list for every door."""

_FAILED = re.compile(r"#[^\s#]{1,12}[!?]|#n/?[adv]", re.IGNORECASE)  # what spreadsheets write for what they cannot find
_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_MICRO = str.maketrans({"\u00b5": "u", "\u03bc": "u"})


def cleaned(text: str) -> str:
    """A cell as it is seen: composed letters, every kind of blank as a space, none at the ends."""
    if text.isascii():
        return text.strip()
    return re.sub(r"[^\S\n]", " ", _UNSEEN.sub("", unicodedata.normalize("NFC", text))).strip()


def is_missing(text: str) -> bool:
    """Whether a cell says that nothing is known."""
    return text.strip().lower() in MISSING_WORDS or _FAILED.fullmatch(text.strip()) is not None


def cell_or_none(text: str) -> str | None:
    """A cell as it is seen, None where it says that nothing is known."""
    seen = cleaned(text)
    return None if is_missing(seen) else seen


def folded(name: str) -> str:
    """What two spellings of one name share: no case, no Unicode form, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", _UNSEEN.sub("", name)).casefold().split())


def plain(name: object) -> str:
    """Letters and digits of a heading: `Cell_type` is celltype, `Dose (µM)` doseum, `Präparat` praparat."""
    text = unicodedata.normalize("NFKD", str(name).translate(_MICRO)).lower().replace("ß", "ss")
    return re.sub(r"[^a-z0-9]", "", text)


def one_spelling(names: Iterable[str], fixed: Collection[str] = ()) -> dict[str, str]:
    """Spellings that differ from the one that is kept, of names alike but for case, blanks and Unicode form.

    The most frequent one is kept, of equally frequent ones the first in order of the alphabet. fixed: names that stay
    as they are; others become one of these where it alone is alike.
    """
    times = Counter(names)
    groups: dict[str, list[str]] = {}
    for name in sorted({*times, *fixed}):
        groups.setdefault(folded(name), []).append(name)
    respelled: dict[str, str] = {}
    for spellings in groups.values():
        known = [name for name in spellings if name in fixed]
        if len(spellings) > 1 and len(known) < 2:
            kept = known[0] if known else max(spellings, key=lambda name: times[name])
            respelled |= {name: kept for name in spellings if name != kept}
    return respelled


def told_as_one(respelled: Mapping[str, str]) -> str:
    """Say which names count as one."""
    listed = ", ".join(f"'{name}' as '{kept}'" for name, kept in sorted(respelled.items())[:8])
    more = f" and {len(respelled) - 8} more" if len(respelled) > 8 else ""
    return f"names of compounds that differ only in case, blanks or Unicode form are one: {listed}{more}"
