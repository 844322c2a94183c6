"""Cells that people type: what is seen of them, which words say that nothing is known, which texts are one name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

MISSING_WORDS = frozenset(
    {
        "", "na", "n/a", "n.a", "n. a", "k.a", "k. a", "nan", "nat", "<na>", "null", "none", "nil", "-", "--", "---",
        "\u2013", "\u2014", "?", "??", "???", "missing", "not available", "not applicable", "unknown", "unbekannt",
        "tbd", "tba", "n.d", "n. d", "n/d", "nd", "not determined", "not tested", "n.t", "no data", "keine angabe",
        "keine daten", "fehlt", "inconnu", "inconnue", "manquant", "desconocido", "desconocida", "sin dato",
        "sin datos", "sconosciuto", "error", "fehler", "#", "-666", "-666.0", "-999", "-999.0", "-9999",
    }
)  # fmt: skip
"""What says that a cell is not known, in lower case: one list for every door."""

_FAILED = re.compile(r"#[^\s#]{1,12}[!?]|#n/?[adv]", re.IGNORECASE)  # what spreadsheets write for what they cannot find
_ZERO = re.compile(r"[-+]?0([.,]0*)?")
_DITTOS = frozenset(
    {'"', "''", "\u3003", "\u201d", "\u201e", "\u2033", "ditto", "dito", "idem", "s.o", "siehe oben", "as above"}
)
_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_SIGNS = str.maketrans("\u2010\u2011\u2012\u2013\u2212\u2018\u2019\u2032\u00b4", "-----''''")
_CYRILLIC = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0430\u0435\u043e\u0440\u0441\u0445\u0443",
    "ABEKMHOPCTXaeopcxy",
)
_MICRO = str.maketrans({"\u00b5": "u", "\u03bc": "u"})

YES = frozenset(
    {
        "true", "t", "yes", "y", "1", "1.0", "ja", "j", "wahr", "oui", "o", "vrai", "si", "s", "verdadero", "vero",
        "sim", "verdadeiro", "x", "+", "\u2713", "\u2714", "\u2611",
    }
)  # fmt: skip
NO = frozenset(
    {"false", "f", "no", "n", "0", "0.0", "nein", "falsch", "non", "faux", "falso", "nao", "\u2717", "\u2718", "\u2610"}
)
"""What says yes and no in a cell, in lower case and without accents."""


def cleaned(text: str) -> str:
    """A cell as it is seen: composed letters, every kind of blank as a space, none at the ends."""
    if text.isascii():
        return text.strip()
    return re.sub(r"[^\S\n]", " ", _UNSEEN.sub("", unicodedata.normalize("NFC", text))).strip()


def is_missing(text: str) -> bool:
    """Whether a cell says that nothing is known."""
    word = text.strip().lower()
    if word[:1] + word[-1:] in ("()", "[]", "{}"):
        word = word[1:-1].strip()
    return word.rstrip(".") in MISSING_WORDS or _FAILED.fullmatch(text.strip()) is not None


def is_no_compound(text: str) -> bool:
    """Whether a name says that no compound is known; a spreadsheet's look-up of an empty cell gives 0."""
    return is_missing(text) or _ZERO.fullmatch(text.strip()) is not None


def is_ditto(text: str) -> bool:
    """Whether a cell says that it is as the one above."""
    return text.strip().lower().rstrip(".") in _DITTOS


def cell_or_none(text: str) -> str | None:
    """A cell as it is seen, None where it says that nothing is known."""
    seen = cleaned(text)
    return None if is_missing(seen) else seen


def said(text: str) -> bool | None:
    """Whether a cell says yes or no; None where it says neither."""
    word = re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", text)).strip().lower()
    return True if word in YES else False if word in NO else None


def folded(name: str) -> str:
    """What two spellings of one name share: no case, no Unicode form, single spaces, plain hyphens and apostrophes.

    Cyrillic letters that look Latin are Latin ones in a name that has Latin letters too.
    """
    if name.isascii():
        return " ".join(name.casefold().split())
    seen = unicodedata.normalize("NFKC", _UNSEEN.sub("", name)).translate(_SIGNS)
    if re.search("[A-Za-z]", seen):
        seen = seen.translate(_CYRILLIC)
    return " ".join(seen.casefold().split())


def unjoined(name: str) -> str:
    """What spellings of a code share: KW-2449, kw 2449 and KW2449; (+)-JQ1 and JQ1-(+)."""
    signed = re.sub(r"^(\([^a-z0-9]{1,3}\))-?(.+)$", r"\2-\1", folded(name))
    return re.sub(r"(?<=[a-z0-9])[- ](?=[a-z0-9])", "", signed)


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


def told_as_one(respelled: Mapping[str, str], what: str = "compounds") -> str:
    """Say which names count as one."""
    listed = ", ".join(f"'{name}' as '{kept}'" for name, kept in sorted(respelled.items())[:8])
    more = f" and {len(respelled) - 8} more" if len(respelled) > 8 else ""
    return f"names of {what} that differ only in case, blanks or Unicode form are one: {listed}{more}"
