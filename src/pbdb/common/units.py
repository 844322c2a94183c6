"""Doses as exact integers of femtomolar, times in hours."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from pbdb.common.errors import DataError

FM_PER_UM = 10**9
FM_PER_UNIT = {
    "M": Decimal(10) ** 15,
    "mM": Decimal(10) ** 12,
    "uM": Decimal(10) ** 9,
    "nM": Decimal(10) ** 6,
    "pM": Decimal(10) ** 3,
    "fM": Decimal(1),
}
HOURS_PER_UNIT = {"h": Decimal(1), "min": Decimal(1) / 60, "d": Decimal(24)}
SPELLINGS = {
    "µm": "uM", "μm": "uM", "um": "uM", "nm": "nM", "mm": "mM", "pm": "pM", "fm": "fM", "m": "M",
    "micromolar": "uM", "nanomolar": "nM", "millimolar": "mM", "picomolar": "pM", "femtomolar": "fM", "molar": "M",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "min": "min", "minutes": "min", "d": "d", "day": "d",
    "days": "d",
}  # fmt: skip
_PER_LITRE = re.compile(r"(?<=[\u00b5\u03bcunmpf]) ?(mol(/|\*| )?l(-1|\^-1)?|molar|mol/dm3)$")
MAX_FM = 2**63 - 1


def dose_fm(value: str | float, unit: str) -> int:
    """Convert a dose to whole femtomolar, exactly as its decimal text says, halves up.

    A float counts as the shortest decimal text that reads back as it.

    Raises:
        DataError: not a number, negative, beyond the range, or the unit is not a molar one.
    """
    factor = FM_PER_UNIT.get(molar_unit(unit))
    if factor is None:
        raise DataError(f"'{unit}' is not a molar unit; known are {', '.join(FM_PER_UNIT)}.", value=unit)
    scaled = (_decimal(value, "dose") * factor).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    if scaled > MAX_FM:
        raise DataError(f"The dose {value} {unit} is beyond any concentration: check its unit.", value=value)
    return int(scaled)


def molar_unit(unit: str) -> str:
    """Spell a unit as FM_PER_UNIT does; one it does not know comes back as it is."""
    text = unit.strip().rstrip(".")
    short = _PER_LITRE.sub("m", text.lower())
    return text if text in FM_PER_UNIT else SPELLINGS.get(short, text)


def hours(value: str | float, unit: str) -> float:
    """Convert a time to hours.

    Raises:
        DataError: not a number, negative, or the unit is not one of time.
    """
    factor = HOURS_PER_UNIT.get(SPELLINGS.get(unit.strip().lower(), unit))
    if factor is None:
        raise DataError(f"'{unit}' is not a unit of time; known are {', '.join(HOURS_PER_UNIT)}.", value=unit)
    return float(_decimal(value, "time") * factor)


def round_dose(fm: int, decimals: int | None) -> int:
    """Round a dose to decimals of micromolar, halves up; below half a step it keeps two significant digits.

    Rounded once or twice, it is the same: what is below half a step stays there. decimals None leaves it exact.
    """
    if decimals is None or fm == 0:
        return fm
    step = int(FM_PER_UM // 10**decimals)
    if 2 * fm >= step:
        return (2 * fm + step) // (2 * step) * step
    digits = max(len(str(fm)) - 2, 0)
    rounded = int(Decimal(fm).quantize(Decimal(1).scaleb(digits), rounding=ROUND_HALF_UP))
    return rounded if 2 * rounded < step else rounded - 10**digits


def _decimal(value: str | float, what: str) -> Decimal:
    try:
        number = Decimal(value.strip() if isinstance(value, str) else repr(float(value)))
    except InvalidOperation:
        raise DataError(f"'{value}' is not a {what}.") from None
    if not number.is_finite() or number < 0:
        raise DataError(f"'{value}' is not a {what}: it must be a number from 0.", value=value)
    return number
