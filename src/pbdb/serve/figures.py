"""What figures show, in rows; templates/figures.html draws them. What the eye cannot tell apart is not sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from pbdb.common.rows import Row

WIDTH, HEIGHT = 520, 340
SIGNIFICANT = 0.05
NAMED_GENES = 14
CONDITION = ("compound_name", "dataset", "cells", "dose_um", "time_h", "log2_fc", "href")


def way(fold: float, p_adj: float | None) -> str:
    """Up, down or none: the direction of a change that is significant."""
    return "none" if p_adj is None or p_adj > SIGNIFICANT else "up" if fold > 0 else "down"


def both(row: Row) -> str:
    """The direction in which both conditions of a match move a gene; none where they do not agree."""
    ways = {way(row["log2_fc_a"], row["p_adj_a"]), way(row["log2_fc_b"], row["p_adj_b"])}
    return ways.pop() if len(ways) == 1 else "none"


def volcano(rows: list[Row]) -> Row:
    """Every gene of an effect: fold change against significance."""
    tested = [row for row in rows if row["p_adj"] is not None and row["log2_fc"] is not None]
    x, y = [row["log2_fc"] for row in tested], [-math.log10(max(row["p_adj"], 1e-300)) for row in tested]
    return _dots(tested, x, y, [way(row["log2_fc"], row["p_adj"]) for row in tested], lambda d: abs(d["x"]) * d["y"])


def scatter(rows: list[Row]) -> Row:
    """A match gene by gene; with the ends of the diagonal."""
    tested = [row for row in rows if row["log2_fc_a"] is not None and row["log2_fc_b"] is not None]
    x, y = [row["log2_fc_a"] for row in tested], [row["log2_fc_b"] for row in tested]
    found = _dots(
        tested, x, y, [both(row) for row in tested], lambda d: (abs(d["x"]) + abs(d["y"])) * (d["way"] != "none")
    )
    return found | {"ends": [{"x": end, "y": end} for end in (min([*x, *y], default=0), max([*x, *y], default=0))]}


def strip(points: list[Row]) -> list[Row]:
    """Conditions of compounds by fold change: of those of one compound, data set and direction one for two pixels."""
    seen: dict[tuple[str, str, str, int], Row] = {}
    for row, left in zip(points, _scaled([row["log2_fc"] for row in points], WIDTH), strict=True):
        seen.setdefault((row["compound_name"], row["dataset"], row["way"], left // 2), row)
    return _shown(seen.values(), (*CONDITION, "way"))


def doses(points: list[Row], compounds: Collection[str]) -> list[Row]:
    """Conditions of some compounds over the dose."""
    return _shown((row for row in points if row["compound_name"] in compounds), (*CONDITION, "se"))


def _shown(rows: Iterable[Row], names: Sequence[str]) -> list[Row]:
    return [{name: _short(row[name]) for name in names} for row in rows]


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _dots(rows: list[Row], x: list[float], y: list[float], ways: list[str], weight: Callable[[Row], float]) -> Row:
    """All that is significant, of the rest one dot for each few pixels, and those to name: none covers another."""
    pixels = list(zip(_scaled(x, WIDTH), _scaled(y, HEIGHT), strict=True))
    dots: list[Row] = []
    named: list[Row] = []
    seen: set[tuple[int, int]] = set()
    for row, across, along, direction, (left, low) in zip(rows, x, y, ways, pixels, strict=True):
        if direction != "none" or (left // 3, low // 3) not in seen:
            seen.add((left // 3, low // 3))
            gene = {"gene": row["gene_symbol"] or row["gene_id"], "id": row["gene_id"]}
            dots.append(
                {"x": round(across, 4), "y": round(along, 4), "way": direction, "left": left, "low": low, **gene}
            )
    for dot in sorted(dots, key=weight, reverse=True)[:60]:
        if weight(dot) > 0 and not any(_cover(dot, other) for other in named[:NAMED_GENES]):
            named.append(dot)
    shown = ("x", "y", "way", "gene", "id")
    return {"dots": [{name: dot[name] for name in shown} for dot in dots], "named": named[:NAMED_GENES]}


def _cover(dot: Row, other: Row) -> bool:
    """Whether the names of two dots would lie one on the other; letters are 8 pixels wide, where space is short too."""
    wide = 8 * (len(dot["gene"]) + len(other["gene"])) / 2
    return bool(abs(dot["left"] - other["left"]) < wide and abs(dot["low"] - other["low"]) < 18)


def _scaled(values: list[float], pixels: int) -> list[int]:
    low, high = min(values, default=0), max(values, default=1)
    return [int((value - low) / ((high - low) or 1) * pixels) for value in values]


def clustered(rows: list[Row], row: str, column: str, value: str) -> tuple[list[Any], list[Any]]:
    """Rows and columns of a heat map in an order in which neighbours are most alike (Bar-Joseph et al. 2001)."""
    import numpy as np

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
