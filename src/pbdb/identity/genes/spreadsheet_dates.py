"""Undo what spreadsheets do to gene symbols: MARCH1 becomes 1-Mar, 01. Mrz, 44621 or 2022-03-01 00:00:00.

A spreadsheet takes `SEPT2` for the second of September of the current year. What it then shows as `Sep-02` it takes,
opened again, for September 2002, and completes it to 2002-09-01: then the number is the year's, not the day's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

_WORDS = {
    1: "jan january januar janner janvier janv enero ene gennaio gen januari janeiro sty \u044f\u043d\u0432",
    2: "feb february februar fevrier fevr fev febrero febbraio februari fevereiro lut \u0444\u0435\u0432",
    3: "mar march marz mrz maerz mars marzo maart mrt marco \u043c\u0430\u0440",
    4: "apr april avril avr abril abr aprile kwi \u0430\u043f\u0440",
    5: "may mai mayo maggio mag mei maio maj \u043c\u0430\u0439 \u043c\u0430\u0438",
    6: "jun june juni juin junio giugno giu junho cze \u0438\u044e\u043d",
    7: "jul july juli juillet juil julio luglio lug julho lip \u0438\u044e\u043b",
    8: "aug august aout agosto ago augustus sie \u0430\u0432\u0433",
    9: "sep sept september septembre septiembre settembre set setembro wrz \u0441\u0435\u043d \u0441\u0435\u043d\u0442",
    10: "oct october oktober okt octobre octubre ottobre ott outubro out paz \u043e\u043a\u0442",
    11: "nov november novembre noviembre novembro lis \u043d\u043e\u044f",
    12: "dec december dezember dez decembre diciembre dic dicembre dezembro gru \u0434\u0435\u043a",
}
_MONTHS = {word: month for month, words in _WORDS.items() for word in words.split()}
_WORD = r"(?P<month>[^\W\d_]{3,10})\.?"
_GAP = r"(?:\. ?|[-/ ])"
_DAY_MONTH = re.compile(rf"x?(?P<number>\d{{1,2}}){_GAP}{_WORD}(?:[-./ ]+(?P<year>\d{{4}}|\d{{2}}))?")
_MONTH_DAY = re.compile(rf"x?{_WORD}{_GAP}?(?<=[-./ ])(?P<number>\d{{1,2}})")
_MONTH_YEAR = re.compile(rf"x?{_WORD}{_GAP}?(?<=[-./ ])(?P<year>\d{{4}})")
_MONTH_DAY_YEAR = re.compile(rf"{_WORD} (?P<number>\d{{1,2}})(?:, | 00:00:00 )(?P<year>\d{{4}})")
_CHINESE = re.compile(r"(?:(?P<year>\d{4})\u5e74)?(?P<month>\d{1,2})\u6708(?P<number>\d{1,2})\u65e5")
_WEEKDAY = re.compile(r"[^\W\d_]{3,10}\.?,? (?=[^\W\d_]{3,10}\.? \d|\d{1,2}\.? )")
_ISO = re.compile(r"x?(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?:[ t]00:00(?::00)?(?:\.0+)?z?)?")
_NUMERIC = re.compile(r"x?(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?: 00:00(?::00)?)?")
_SERIAL = re.compile(r"x?(\d{5})(?:\.0)?")
_EPOCHS = (date(1899, 12, 30), date(1904, 1, 1))
_YEARS = range(1995, 2041)
_MAX_SERIALS = 40

Pair = tuple[int, int]


@dataclass(frozen=True)
class _Date:
    """What a text may stand for: months with a number, or whole days."""

    pairs: tuple[Pair, ...] = ()
    days: tuple[date, ...] = ()


def day_numbers(names: Sequence[str]) -> list[list[Pair]]:
    """Give for each name the (month, number) pairs it may be a date of; none for other text.

    A serial number counts days from 1899-12-30 or, in old Mac files, 1904-01-01. One list has one system: the one
    under which more of its serials fall on the days of March, September and December that symbols turn into; on a
    tie 1899. In a list with more than 40 bare numbers they are not dates but ids of some kind.

    Whole days have their number in the day where one year holds them all, and in the year where all are the first of
    a month, in several years from 2001 on; where that does not tell, they may be both.
    """
    texts = [_plain(name) for name in names]
    serials = {int(m[1]) for text in texts if (m := _SERIAL.fullmatch(text))}
    epoch = max(_EPOCHS, key=lambda start: sum(_is_likely(start + timedelta(days=n)) for n in serials))
    dates = [_written(text) or _serial(text, epoch, len(serials)) for text in texts]
    firsts, years = _of_list([written for written in dates if written.days])
    return [[*written.pairs, *_numbers(written.days, firsts, years)] for written in dates]


def _plain(name: str) -> str:
    """Lower case without accents, blanks as spaces: `02. Mär` is 02. mar."""
    return " ".join(re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", name)).lower().split())


def _of_list(dates: Sequence[_Date]) -> tuple[bool, set[int]]:
    """Whether every date of a list may be the first of a month, and the years they are of."""
    return (
        all(any(day.day == 1 for day in written.days) for written in dates),
        {day.year for written in dates for day in written.days},
    )


def _numbers(days: Iterable[date], all_firsts: bool, years: set[int]) -> list[Pair]:
    by_day = [(day.month, day.day) for day in days]
    by_year = [(day.month, day.year - 2000) for day in days if day.day == 1 and 2001 <= day.year < 2032]
    if all_firsts and len(years) > 1 and by_year:
        return by_year
    return by_day if not all_firsts and len(years) == 1 else list(dict.fromkeys([*by_day, *by_year]))


def _written(text: str) -> _Date | None:
    text = _WEEKDAY.sub("", text)
    if match := _DAY_MONTH.fullmatch(text) or _MONTH_DAY_YEAR.fullmatch(text) or _CHINESE.fullmatch(text):
        return _day_of_month(match)
    if match := _MONTH_DAY.fullmatch(text) or _MONTH_YEAR.fullmatch(text):
        month, year = _MONTHS.get(match["month"]), match.groupdict().get("year")
        number = int(year) - 2000 if year else int(match["number"])
        return _Date(((month, number),)) if month and 0 < number < 32 else None
    if match := _ISO.fullmatch(text):
        return _Date(days=_valid([(int(match[1]), int(match[2]), int(match[3]))])) if match else None
    if match := _NUMERIC.fullmatch(text):  # day first or month first: both are in use
        first, second, year = (int(part) for part in match.groups())
        return _Date(days=_valid([(_full(year), first, second), (_full(year), second, first)]))
    return None


def _day_of_month(match: re.Match[str]) -> _Date | None:
    month, number = _MONTHS.get(match["month"]), int(match["number"])
    month = int(match["month"]) if match["month"].isdecimal() else month
    if month is None or not 0 < month < 13 or not 0 < number < 32:
        return None
    days = _valid([(_full(int(match["year"])), month, number)]) if match["year"] else ()
    return _Date(days=days) if days else _Date(((month, number),))


def _full(year: int) -> int:
    return year if year > 99 else 2000 + year if year < 50 else 1900 + year


def _valid(days: Iterable[tuple[int, int, int]]) -> tuple[date, ...]:
    valid = []
    for year, month, day in dict.fromkeys(days):
        try:
            valid.append(date(year, month, day))
        except ValueError:
            continue
    return tuple(valid)


def _serial(text: str, epoch: date, n_serials: int) -> _Date:
    match = _SERIAL.fullmatch(text)
    if match is None or n_serials > _MAX_SERIALS:
        return _Date()
    day = epoch + timedelta(days=int(match[1]))
    return _Date(days=(day,)) if day.year in _YEARS else _Date()


def _is_likely(day: date) -> bool:
    return day.year in _YEARS and (day.month, day.day) in _LIKELY


_LIKELY = {(3, n) for n in range(1, 12)} | {(9, n) for n in range(1, 16)} | {(12, 1)}
