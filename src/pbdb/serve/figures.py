"""Figures as Vega-Lite: rows in, a specification out; colours are names that the page's theme gives a value.

What the eye cannot tell apart is not sent: of dots that say nothing one is kept for each pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pbdb.serve.place import Row

Spec = dict[str, Any]
WAYS = {"domain": ["up", "down", "none"], "range": ["@up", "@down", "@faint"]}
WIDTH, HEIGHT = 520, 340
SIGNIFICANT = 0.05
NAMED_GENES = 14
FOLD, P = "log2 fold change", "−log10 p, adjusted"


def _axis(field: str, title: str, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "axis": {"tickCount": 7}, **more}


def _tips(**titles: str) -> list[Spec]:
    return [{"field": field, "title": title} for field, title in titles.items()]


def _of(values: list[Row], *layers: Spec, **more: Any) -> Spec:
    return {"data": {"values": values}, "layer": list(layers), "width": WIDTH, "height": HEIGHT, **more}


def way(fold: float, p_adj: float | None) -> str:
    """Up, down or none: the direction of a change that is significant."""
    return "none" if p_adj is None or p_adj > SIGNIFICANT else "up" if fold > 0 else "down"


def volcano(rows: list[Row], root: str) -> Spec:
    """Every gene of an effect: fold change against significance; names at the strongest."""
    dots = [
        {
            "x": row["log2_fc"],
            "y": min(300.0, -math.log10(max(row["p_adj"], 1e-300))),
            "gene": row["gene_symbol"] or row["gene_id"],
            "p": f"{row['p_adj']:.2g}",
            "way": way(row["log2_fc"], row["p_adj"]),
            "href": f"{root}/gene/{row['gene_id']}",
        }
        for row in rows
        if row["p_adj"] is not None and row["log2_fc"] is not None
    ]
    kept = thinned(dots)
    named = apart(sorted(kept, key=lambda d: -abs(d["x"]) * d["y"])[:60], kept)
    place = {"x": _axis("x", FOLD), "y": _axis("y", P)}
    return _of(kept, _dots(gene="gene", x="log2 fold change", p="p, adjusted"), _texts(named), encoding=place)


def _dots(**tips: str) -> Spec:
    colour = {"field": "way", "type": "nominal", "scale": WAYS, "legend": None}
    return {
        "mark": {"type": "circle", "size": 34, "opacity": 0.75},
        "encoding": {"color": colour, "href": {"field": "href"}, "tooltip": _tips(**tips)},
    }


def _texts(named: list[Row]) -> Spec:
    mark = {"type": "text", "dy": -8, "fontSize": 11, "color": "@ink"}
    return {"data": {"values": named}, "mark": mark, "encoding": {"text": {"field": "gene"}}}


def thinned(dots: list[Row]) -> list[Row]:
    """All that is significant, and of the rest one dot for each pixel."""
    if not dots:
        return []
    (left, right), (low, high) = _range(dots, "x"), _range(dots, "y")
    seen: dict[tuple[int, int], Row] = {}
    for dot in dots:
        if dot["way"] == "none":
            at = int((dot["x"] - left) / (right - left) * WIDTH / 3), int((dot["y"] - low) / (high - low) * HEIGHT / 3)
            seen.setdefault(at, dot)
    return [*seen.values(), *(dot for dot in dots if dot["way"] != "none")]


def _range(dots: list[Row], name: str) -> tuple[float, float]:
    low, high = min(dot[name] for dot in dots), max(dot[name] for dot in dots)
    return low, high if high > low else low + 1


def apart(candidates: list[Row], dots: list[Row], most: int = NAMED_GENES) -> list[Row]:
    """Those whose names do not overlap, best first."""
    if not dots:
        return []
    (left, right), (low, high) = _range(dots, "x"), _range(dots, "y")
    chosen: list[tuple[float, float, Row]] = []
    for dot in candidates:
        x, y = (dot["x"] - left) / (right - left) * WIDTH, (dot["y"] - low) / (high - low) * HEIGHT
        if all(abs(x - a) > 64 or abs(y - b) > 15 for a, b, _ in chosen):
            chosen.append((x, y, dot))
    return [dot for *_, dot in chosen[:most]]


def scatter(rows: list[Row], a: str, b: str, root: str) -> Spec:
    """A match gene by gene, with the diagonal; coloured where both conditions move the gene."""
    dots = [
        {
            "x": row["log2_fc_a"],
            "y": row["log2_fc_b"],
            "gene": row["gene_symbol"] or row["gene_id"],
            "way": _both(row),
            "href": f"{root}/gene/{row['gene_id']}",
        }
        for row in rows
        if row["log2_fc_a"] is not None and row["log2_fc_b"] is not None
    ]
    kept = thinned(dots)
    named = apart(sorted((d for d in kept if d["way"] != "none"), key=lambda d: -abs(d["x"]) - abs(d["y"]))[:60], kept)
    ends = [f([*(d["x"] for d in kept), *(d["y"] for d in kept)] or [0]) for f in (min, max)]
    line = {"type": "line", "color": "@soft", "strokeDash": [4, 4]}
    diagonal = {"data": {"values": [{"x": end, "y": end} for end in ends]}, "mark": line}
    place = {"x": _axis("x", f"{FOLD}, {a}"), "y": _axis("y", f"{FOLD}, {b}")}
    return _of(kept, diagonal, _dots(gene="gene", x=a, y=b), _texts(named), encoding=place)


def _both(row: Row) -> str:
    ways = {way(row["log2_fc_a"], row["p_adj_a"]), way(row["log2_fc_b"], row["p_adj_b"])}
    return ways.pop() if len(ways) == 1 else "none"


def statistics(rows: list[Row]) -> Spec:
    """Scores of a match between their baselines: what a mean effect and other compounds reach."""
    kinds = {"score": "this match", "source_centroid": "mean effect", "target_centroid": "mean effect",
             "source_peer_mean": "other compounds", "target_peer_mean": "other compounds"}  # fmt: skip
    values = [
        {"metric": row["metric"].replace("_", " "), "what": words, "value": row[name]}
        for row in rows
        for name, words in kinds.items()
        if row[name] is not None
    ]
    scale = {"domain": ["this match", "mean effect", "other compounds"], "range": ["@score", "@centroid", "@peer"]}
    encoding = {
        "x": _axis("value", "statistic"),
        "y": {"field": "metric", "type": "nominal", "title": None, "sort": None},
        "color": {"field": "what", "type": "nominal", "title": None, "legend": {"orient": "top"}, "scale": scale},
        "tooltip": _tips(metric="statistic", what="of", value="value"),
    }
    dots = _only("this match", {"type": "circle", "size": 150, "opacity": 1})
    strokes = _only("this match", {"type": "tick", "thickness": 3, "size": 26, "opacity": 1}, "!=")
    return _of(values, strokes, dots, encoding=encoding) | {"height": {"step": 44}}


def _only(what: str, mark: Spec, sign: str = "==") -> Spec:
    return {"transform": [{"filter": f"datum.what {sign} '{what}'"}], "mark": mark}


def doses(rows: list[Row], compounds: Sequence[str]) -> Spec:
    """A gene over the doses of some compounds, strongest first: estimates with 95 % bars, no fitted curve."""
    values = [
        {**_point(row), "low": row["log2_fc"] - 1.96 * row["se"], "high": row["log2_fc"] + 1.96 * row["se"]}
        for row in rows
        if row["compound"] in compounds and row["se"] and row["dose_um"]
    ]
    x = {"field": "dose", "type": "quantitative", "scale": {"type": "log"}, "title": "dose, µM",
         "axis": {"tickCount": 3, "format": "~g", "grid": False}}  # fmt: skip
    y = {"field": "fold", "type": "quantitative", "title": FOLD, "axis": {"tickCount": 5}}
    parts = {
        "color": {"field": "dataset", "type": "nominal", "title": "data set", "legend": {"orient": "top"}},
        "strokeDash": {
            "field": "context",
            "type": "nominal",
            "title": "cells",
            "legend": {
                "symbolType": "stroke",
                "orient": "top",
                "symbolStrokeColor": "@soft",
                "symbolSize": 300,
                "symbolStrokeWidth": 2,
            },
        },
        "tooltip": _tips(
            compound="compound", dataset="data set", context="cells", dose="µM", time="h", fold="log2 fold change"
        ),
    }
    bars = {
        "mark": "rule",
        "encoding": {
            "y": {"field": "low", "type": "quantitative", "title": FOLD},
            "y2": {"field": "high"},
            "strokeDash": {"value": [1, 0]},
        },
    }
    zero = {"mark": {"type": "rule", "color": "@soft"}, "encoding": {"y": {"datum": 0}}}
    layers = [
        zero,
        {
            "layer": [bars, {"mark": {"type": "line", "point": True}, "encoding": {"y": y}}],
            "encoding": {"x": x, **parts},
        },
    ]
    return {
        "data": {"values": values},
        "facet": {"field": "compound", "type": "nominal", "title": None, "sort": list(compounds)},
        "columns": 4,
        "spec": {"width": 150, "height": 120, "layer": layers},
    }


def _point(row: Row) -> Row:
    return {
        "compound": row["compound"], "dataset": row["dataset"], "context": row["context_name"] or row["context"],
        "dose": row["dose_um"], "time": row["time_h"], "fold": row["log2_fc"], "href": row["href"],
        "way": way(row["log2_fc"], row["p_adj"]),
    }  # fmt: skip


def strip(rows: list[Row], compounds: Sequence[str]) -> Spec:
    """One line for each compound: what every condition of it does to the gene."""
    values = [_point(row) for row in rows if row["log2_fc"] is not None]
    tips = _tips(compound="compound", dataset="data set", context="cells", dose="µM", time="h", fold="log2 fold change")
    encoding = {
        "x": _axis("fold", FOLD),
        "y": {
            "field": "compound",
            "type": "nominal",
            "sort": list(compounds),
            "title": None,
            "axis": {"grid": True, "labelLimit": 150},
        },
        "color": {"field": "way", "type": "nominal", "scale": WAYS, "legend": None},
        "shape": {"field": "dataset", "type": "nominal", "title": "data set", "legend": {"orient": "top"}},
        "href": {"field": "href"},
        "tooltip": tips,
    }
    mark = {"type": "point", "filled": True, "size": 50, "opacity": 0.8}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding, "width": WIDTH, "height": {"step": 18}}


def heat_map(rows: list[Row], columns: Sequence[str], genes: Sequence[str]) -> Spec:
    """Genes by conditions; up and down in the two colours."""
    most = max((abs(row["fold"]) for row in rows), default=1.0)
    scale = {"domain": [-most, 0, most], "range": ["@down", "@paper", "@up"], "interpolate": "rgb"}
    encoding = {
        "x": {
            "field": "column",
            "type": "nominal",
            "sort": list(columns),
            "title": None,
            "axis": {"labelAngle": -45, "labelLimit": 220},
        },
        "y": {"field": "gene", "type": "nominal", "sort": list(genes), "title": None},
        "color": {"field": "fold", "type": "quantitative", "scale": scale, "title": FOLD},
        "href": {"field": "href"},
        "tooltip": _tips(gene="gene", column="condition", fold="log2 fold change", p="p, adjusted"),
    }
    size = {"width": {"step": 18}, "height": {"step": 16}}
    return {"data": {"values": rows}, "mark": {"type": "rect"}, "encoding": encoding, **size}
