"""Undo what spreadsheets do to gene symbols: MARCH1 becomes 1-Mar, 44621 or 2022-03-01 00:00:00."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WORD = (
    r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"(?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?"
)
_DAY_MONTH = re.compile(rf"x?(?P<number>\d{{1,2}})[-./ ]{_WORD}(?:[-./ ]\d{{2,4}})?", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"x?{_WORD}[-./ ](?P<number>\d{{1,2}})", re.IGNORECASE)
_ISO = re.compile(r"x?\d{4}[-./](\d{1,2})[-./](\d{1,2})(?:[ T]00:00(?::00)?)?", re.IGNORECASE)
_NUMERIC = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}")
_SERIAL = re.compile(r"x?(\d{5})(?:\.0)?", re.IGNORECASE)
_EPOCHS = (date(1899, 12, 30), date(1904, 1, 1))
_YEARS = range(1995, 2041)
_MAX_SERIALS = 40


def day_numbers(names: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Give for each name the (month, number) pairs it may be a date of; none for other text.

    A serial number counts days from 1899-12-30 or, in old Mac files, 1904-01-01. One list has one system: the one
    under which more of its serials fall on the days of March, September and December that symbols turn into; on a
    tie 1899. In a list with more than 40 bare numbers they are not dates but ids of some kind.
    """
    serials = [int(m[1]) for n in names if (m := _SERIAL.fullmatch(n))]
    epoch = max(_EPOCHS, key=lambda e: sum(_is_likely(_serial_date(s, e)) for s in serials))
    return [_written(n) or _serial(n, epoch, len(set(serials))) for n in names]


def _written(name: str) -> list[tuple[int, int]]:
    if match := _DAY_MONTH.fullmatch(name) or _MONTH_DAY.fullmatch(name):
        return [(_MONTHS.index(match["month"].lower()) + 1, int(match["number"]))]
    if match := _ISO.fullmatch(name):
        return _valid([(int(match[1]), int(match[2]))])
    if match := _NUMERIC.fullmatch(name):  # day first or month first: both are in use
        first, second = int(match[1]), int(match[2])
        return _valid({(first, second): None, (second, first): None})
    return []


def _valid(pairs: list[tuple[int, int]] | dict[tuple[int, int], None]) -> list[tuple[int, int]]:
    return [(month, day) for month, day in pairs if 1 <= month <= 12 and 1 <= day <= 31]


def _serial(name: str, epoch: date, n_serials: int) -> list[tuple[int, int]]:
    match = _SERIAL.fullmatch(name)
    if match is None or n_serials > _MAX_SERIALS:
        return []
    day = _serial_date(int(match[1]), epoch)
    return [(day.month, day.day)] if day.year in _YEARS else []


def _serial_date(serial: int, epoch: date) -> date:
    return epoch + timedelta(days=serial)


def _is_likely(day: date) -> bool:
    return day.year in _YEARS and (day.month, day.day) in _LIKELY


_LIKELY = {(3, n) for n in range(1, 12)} | {(9, n) for n in range(1, 16)} | {(12, 1)}
