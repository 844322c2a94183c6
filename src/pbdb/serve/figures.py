"""What figures show, in rows; templates/figures.html draws them. What the eye cannot tell apart is not sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.common.rows import Row

WIDTH, HEIGHT = 520, 340
SIGNIFICANT = 0.05
NAMED_GENES, MOST_TRIED = 14, 60
WAYS = {1: "up", -1: "down", 0: "none"}
CONDITION = ("compound_name", "dataset", "cells", "dose_um", "time_h", "log2_fc", "href")
Numbers = npt.NDArray[Any]
Signs = npt.NDArray[np.int64]


def way(fold: float, p_adj: float | None) -> str:
    """Up, down or none: the direction of a change that is significant."""
    return "none" if p_adj is None or p_adj > SIGNIFICANT else "up" if fold > 0 else "down"


def volcano(rows: list[Row]) -> Row:
    """Every gene of an effect: fold change against significance."""
    fold, p_adj = _column(rows, "log2_fc"), _column(rows, "p_adj")
    x, y = fold, -np.log10(np.maximum(p_adj, 1e-300))
    return _dots(rows, x, y, _ways(fold, p_adj), np.abs(x) * y)


def scatter(rows: list[Row]) -> Row:
    """A match gene by gene; with the ends of the diagonal, and how many genes change on both sides, the same way."""
    (x, y), (p_x, p_y) = ([_column(rows, f"{name}_{side}") for side in "ab"] for name in ("log2_fc", "p_adj"))
    way_x, way_y = _ways(x, p_x), _ways(y, p_y)
    both = np.where(way_x == way_y, way_x, 0)
    found = _dots(rows, x, y, both, (np.abs(x) + np.abs(y)) * (both != 0))
    known = np.concatenate([x, y])[np.tile(np.isfinite(x + y), 2)]
    ends = (float(known.min()), float(known.max())) if known.size else (0, 0)
    return found | {"ends": [{"x": end, "y": end} for end in ends], "n_both": int((both != 0).sum())}


def _column(rows: list[Row], name: str) -> Numbers:
    """Values of rows; NaN where one is not known."""
    return np.array([row[name] for row in rows], np.float64)


def _ways(fold: Numbers, p_adj: Numbers) -> Signs:
    """As `way`, for many: 1, -1 or 0."""
    return np.where(p_adj <= SIGNIFICANT, np.where(fold > 0, 1, -1), 0)


def strip(points: list[Row]) -> list[Row]:
    """Conditions of compounds by fold change: of those of one compound, data set and direction one for two pixels."""
    seen: dict[tuple[str, str, str, int], Row] = {}
    for row, left in zip(points, _scaled(_column(points, "log2_fc"), WIDTH), strict=True):
        seen.setdefault((row["compound_name"], row["dataset"], row["way"], int(left) // 2), row)
    return _shown(seen.values(), (*CONDITION, "way"))


def doses(points: list[Row], compounds: Collection[str]) -> list[Row]:
    """Conditions of some compounds over the dose."""
    return _shown((row for row in points if row["compound_name"] in compounds), (*CONDITION, "se"))


def _shown(rows: Iterable[Row], names: Sequence[str]) -> list[Row]:
    return [{name: _short(row[name]) for name in names} for row in rows]


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _dots(rows: list[Row], x: Numbers, y: Numbers, ways: Signs, weights: Numbers) -> Row:
    """All that is significant, of the rest one dot for each few pixels, and those to name: none covers another."""
    known = np.flatnonzero(np.isfinite(x + y))
    left, low = _scaled(x[known], WIDTH), _scaled(y[known], HEIGHT)
    is_shown = ways[known] != 0
    is_shown[np.unique(left // 3 * HEIGHT + low // 3, return_index=True)[1]] = True
    shown = np.flatnonzero(is_shown)
    places = known[shown]
    across, up = (np.round(values[places], 4).tolist() for values in (x, y))
    dots = [
        {"x": a, "y": b, "way": WAYS[one], "gene": row["gene_symbol"] or row["gene_id"], "id": row["gene_id"]}
        for row, a, b, one in zip((rows[at] for at in places), across, up, ways[places].tolist(), strict=True)
    ]
    named: list[Row] = []
    of_shown = weights[places]
    for place in np.argsort(-of_shown, kind="stable")[:MOST_TRIED]:
        dot = dots[place] | {"left": int(left[shown[place]]), "low": int(low[shown[place]])}
        if of_shown[place] > 0 and not any(_cover(dot, other) for other in named[:NAMED_GENES]):
            named.append(dot)
    return {"dots": dots, "named": named[:NAMED_GENES]}


def _cover(dot: Row, other: Row) -> bool:
    """Whether the names of two dots would lie one on the other; letters are 8 pixels wide, where space is short too."""
    wide = 8 * (len(dot["gene"]) + len(other["gene"])) / 2
    return bool(abs(dot["left"] - other["left"]) < wide and abs(dot["low"] - other["low"]) < 18)


def _scaled(values: Numbers, pixels: int) -> Numbers:
    if not values.size:
        return np.zeros(0, np.int64)
    low, high = values.min(), values.max()
    places: Numbers = ((values - low) / ((high - low) or 1) * pixels).astype(np.int64)
    return places


def clustered(rows: list[Row], row: str, column: str, value: str) -> tuple[list[Any], list[Any]]:
    """Rows and columns of a heat map in an order in which neighbours are most alike (Bar-Joseph et al. 2001)."""
    rows_at = {name: at for at, name in enumerate(dict.fromkeys(one[row] for one in rows))}
    columns_at = {name: at for at, name in enumerate(dict.fromkeys(one[column] for one in rows))}
    matrix = np.zeros((len(rows_at), len(columns_at)))
    for one in rows:
        matrix[rows_at[one[row]], columns_at[one[column]]] = one[value] or 0.0
    return _in_order(list(rows_at), matrix), _in_order(list(columns_at), matrix.T)


def _in_order(names: Sequence[Any], matrix: Any) -> list[Any]:
    from scipy.cluster import hierarchy

    if len(names) < 3:
        return list(names)
    tree = hierarchy.linkage(matrix, "average", optimal_ordering=True)
    return [names[at] for at in hierarchy.leaves_list(tree)]
