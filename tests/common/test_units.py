"""Doses are exact integers of femtomolar, times hours."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbdb.common.errors import DataError
from pbdb.common.units import FM_PER_UNIT, dose_fm, hours, molar_unit, round_dose

WHOLE_FM = st.integers(0, 10**15)
UNITS = st.sampled_from(list(FM_PER_UNIT))
STEP = 10**5  # 4 decimals of uM


@given(WHOLE_FM, UNITS)
def test_a_dose_is_the_same_in_every_unit(fm: int, unit: str) -> None:
    written = format(Decimal(fm) / FM_PER_UNIT[unit], "f")
    assert dose_fm(written, unit) == fm
    assert dose_fm(f" {written} ", unit.lower() if unit.lower() not in ("m", "mm") else unit) == fm


@given(st.floats(1e-9, 1e6))
def test_a_float_counts_as_its_shortest_text(dose: float) -> None:
    assert dose_fm(dose, "uM") == dose_fm(repr(dose), "uM")


@given(WHOLE_FM, WHOLE_FM)
def test_a_larger_dose_is_never_smaller_after_conversion(a: int, b: int) -> None:
    as_nm = [Decimal(fm) / 10**6 for fm in sorted((a, b))]
    assert dose_fm(str(as_nm[0]), "nM") <= dose_fm(str(as_nm[1]), "nM")


@pytest.mark.parametrize(
    ("dose", "unit", "fm"),
    [("0.3", "uM", 300_000_000), ("10", "µM", 10**10), ("1e-3", "nM", 1000), ("2.5", "fM", 3), ("1", "M", 10**15),
     ("0.1", "um", 10**8), (0.1 + 0.2, "uM", 300_000_000), ("0", "uM", 0), ("50", "mM", 5 * 10**13)],
)  # fmt: skip
def test_doses_read_as_written(dose: str | float, unit: str, fm: int) -> None:
    assert dose_fm(dose, unit) == fm


@pytest.mark.parametrize("unit", ["ug/ml", "%", "", "uMM"])
def test_an_unknown_unit_is_named(unit: str) -> None:
    with pytest.raises(DataError, match=r"is not a molar unit; known are M, mM, uM, nM, pM, fM"):
        dose_fm("1", unit)


@pytest.mark.parametrize("dose", ["-1", "nan", "inf", "ten", "", "1,5", float("nan"), float("-inf")])
def test_what_is_no_dose_is_refused(dose: str | float) -> None:
    with pytest.raises(DataError, match="is not a dose"):
        dose_fm(dose, "uM")


def test_an_impossible_dose_is_refused() -> None:
    with pytest.raises(DataError, match="beyond any concentration"):
        dose_fm("10000", "M")


@pytest.mark.parametrize(("written", "unit"), [("µM", "uM"), ("μM", "uM"), (" um ", "uM"), ("NM", "nM"), ("%", "%")])
def test_spellings_of_a_unit(written: str, unit: str) -> None:
    assert molar_unit(written) == unit


@pytest.mark.parametrize(
    ("time", "unit", "expected"), [("24", "h", 24), ("90", "min", 1.5), (3, "days", 72), ("24.0", "Hours", 24)]
)
def test_times_become_hours(time: str | float, unit: str, expected: float) -> None:
    assert hours(time, unit) == expected


@pytest.mark.parametrize(("time", "unit"), [("1", "weeks"), ("-3", "h"), ("soon", "h")])
def test_what_is_no_time_is_refused(time: str, unit: str) -> None:
    with pytest.raises(DataError):
        hours(time, unit)


@given(WHOLE_FM)
def test_without_decimals_a_dose_stays_exact(fm: int) -> None:
    assert round_dose(fm, None) == fm


@given(st.integers(STEP // 2, 10**15))
def test_rounding_to_decimals_is_that_of_decimal_arithmetic(fm: int) -> None:
    exact = (Decimal(fm) / 10**9).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
    assert round_dose(fm, 4) == int(exact * 10**9)


@given(st.integers(1, 10**15))
@example(49_500)
@example(49_999)
def test_rounding_keeps_doses_above_zero_and_is_stable(fm: int) -> None:
    rounded = round_dose(fm, 4)
    assert rounded > 0
    assert round_dose(rounded, 4) == rounded


@given(st.integers(1, STEP // 2 - 1))
def test_tiny_doses_keep_two_significant_digits(fm: int) -> None:
    rounded = round_dose(fm, 4)
    assert abs(rounded - fm) * 20 <= fm
    assert len(str(rounded).rstrip("0")) <= 2


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_rounding_keeps_the_order_of_doses(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert round_dose(low, 4) <= round_dose(high, 4)


@pytest.mark.parametrize(
    ("fm", "rounded"), [(1_111_130_000, 1_111_100_000), (10_000_010_000, 10**10), (40_000, 40_000)]
)
def test_published_examples_of_rounding(fm: int, rounded: int) -> None:
    assert round_dose(fm, 4) == rounded
