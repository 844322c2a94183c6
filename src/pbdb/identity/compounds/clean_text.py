"""Cells that sources write about compounds, cleaned: what is a key, a number or a name, and what is nothing."""

from __future__ import annotations

import re

from pbdb.common.typed_cells import is_no_compound

_INCHIKEY = re.compile(r"(?:InChIKey=)?([A-Z]{14}-[A-Z]{8}SA-[A-Z])", re.IGNORECASE)
_CID = re.compile(r"(?:CID[: ]?)?([1-9][0-9]{0,17})(\.0*)?", re.IGNORECASE)
_HYPHENS = str.maketrans("\u2010\u2011\u2012\u2013\u2212", "-----")
_CAS = re.compile(r"0*([1-9][0-9]{1,6})-([0-9]{2})-([0-9])")
_A_LETTER = re.compile(r"[^\W\d_]")


def text_or_none(value: object) -> str | None:
    """Return a cell as stripped text, or None for a missing value or a sentinel (-666, 0, restricted, nan, ...)."""
    text = "" if value is None else str(value).strip()
    return None if text.lower() == "restricted" or is_no_compound(text) else text


def inchikey_or_none(text: str) -> str | None:
    """Return a standard InChIKey in capitals, without the prefix InChIKey=."""
    match = _INCHIKEY.fullmatch(text.translate(_HYPHENS))
    return match.group(1).upper() if match else None


def cid_or_none(text: str) -> int | None:
    """Return a PubChem CID, written as a whole number or by a spreadsheet as 2244.0."""
    match = _CID.fullmatch(text)
    return int(match.group(1)) if match else None


def cas_or_none(text: str) -> str | None:
    """Return a CAS number whose check digit is right, without leading zeros.

    The digit is the sum of the other digits, each times its place from the right, modulo 10.
    """
    match = _CAS.fullmatch(text.translate(_HYPHENS))
    if not match:
        return None
    body, middle, check = match.groups()
    total = sum(place * int(digit) for place, digit in enumerate(reversed(body + middle), 1))
    return f"{body}-{middle}-{check}" if total % 10 == int(check) else None


def name_or_none(value: object) -> str | None:
    """Return a name; a number is a vendor's id, never a name."""
    text = text_or_none(value)
    return text if text and _A_LETTER.search(text) else None
