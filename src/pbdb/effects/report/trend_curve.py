"""A curve through the dots of a trend, where the fit has none."""

from __future__ import annotations

import numpy as np

from pbdb.common.arrays import Floats
from pbdb.effects.engine.lowess import lowess_knots
from pbdb.effects.options import choose_span

LEAST_GENES = 20


def smooth(x: Floats, y: Floats) -> tuple[Floats, Floats] | None:
    """Lowess with the span that voom would take; None for few genes."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < LEAST_GENES or np.ptp(x[known]) == 0:
        return None
    return lowess_knots(x[known], y[known], choose_span("adaptive", int(known.sum())))
