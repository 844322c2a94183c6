"""The pictures of docs/performance.md: rows in, Vega-Lite out; SVG and PNG, for light and for dark pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vl_convert
from compendium_lines import STAGES, Run
from PIL import Image

Spec = dict[str, Any]
THEMES = {
    "light": {"background": "#ffffff", "text": "#1f2328", "faint": "#57606a", "grid": "#d8dee4", "dot": "#0969da"},
    "dark": {"background": "#0d1117", "text": "#e6edf3", "faint": "#9198a1", "grid": "#30363d", "dot": "#58a6ff"},
}
# One hue a stage, told apart by those who see fewer colours; the stages of all data sets are the greys and browns.
COLOURS = {
    "extract": "#b5bd4c",
    "transform": "#2f9e8f",
    "validate": "#8fc6e8",
    "effects": "#3b6fc4",
    "publish": "#e08a2e",
    "match": "#c2557a",
    "agreement": "#7d6bb3",
    "signature_index": "#a5734f",
    "snapshot": "#7f8a96",
    "verify": "#c4b8a8",
    "snapshot_verify": "#e3d9cc",
}
WIDTH = 620
VEGA_LITE = "6.4"


def seconds_by_stage(run: Run) -> Spec:
    """Bars of data sets, cut by stage."""
    order = {stage: place for place, stage in enumerate(STAGES)}
    rows = [
        {"dataset": dataset, "stage": stage, "minutes": seconds / 60, "order": order[stage]}
        for (dataset, stage), seconds in run.seconds.items()
    ]
    shown = [stage for stage in STAGES if any(row["stage"] == stage for row in rows)]
    return {
        "title": f"Minutes by data set and stage, {share_text(run.share)}",
        "data": {"values": rows},
        "width": WIDTH,
        "height": {"step": 24},
        "mark": {"type": "bar", "height": {"band": 0.72}},
        "encoding": {
            "y": {"field": "dataset", "type": "nominal", "sort": run.datasets, "title": None},
            "x": {"field": "minutes", "type": "quantitative", "title": "minutes", "stack": "zero"},
            "color": {
                "field": "stage",
                "type": "nominal",
                "sort": shown,
                "scale": {"domain": shown, "range": [COLOURS[stage] for stage in shown]},
                "legend": {"title": None, "orient": "right", "symbolType": "square"},
            },
            "order": {"field": "order", "type": "quantitative"},
        },
    }


def growth(runs: Sequence[Run]) -> Spec:
    """Minutes and the largest peak by share of the compendium; dashed, growth in proportion to the smallest share."""
    first = runs[0]
    rows = [{"share": run.share, "minutes": run.total_seconds / 60, "kind": "measured"} for run in runs] + [
        {"share": run.share, "minutes": first.total_seconds / 60 * run.share / first.share, "kind": "in proportion"}
        for run in runs
    ]
    peaks = [{"share": run.share, "peak": max(run.peak_mb.values()) / 1024} for run in runs if run.peak_mb]
    x = {
        "field": "share",
        "type": "quantitative",
        "title": "share of the compendium",
        "axis": {"format": "%", "values": [run.share for run in runs]},
        "scale": {"zero": True},
    }
    lines = {
        "width": WIDTH // 2 - 30,
        "height": 240,
        "title": "Minutes, all stages",
        "data": {"values": rows},
        "mark": {"type": "line", "point": {"size": 60, "filled": True}, "strokeWidth": 2},
        "encoding": {
            "x": x,
            "y": {"field": "minutes", "type": "quantitative", "title": None},
            "color": {
                "field": "kind",
                "type": "nominal",
                "scale": {"domain": ["measured", "in proportion"], "range": ["@dot", "@faint"]},
                "legend": {"title": None, "orient": "bottom"},
            },
            "strokeDash": {
                "field": "kind",
                "type": "nominal",
                "scale": {"domain": ["measured", "in proportion"], "range": [[1, 0], [5, 4]]},
                "legend": None,
            },
        },
    }
    memory = {
        "width": WIDTH // 2 - 30,
        "height": 240,
        "title": "Largest peak of memory, GiB",
        "data": {"values": peaks},
        "mark": {"type": "line", "point": {"size": 60, "filled": True, "color": "@dot"}, "color": "@dot"},
        "encoding": {"x": x, "y": {"field": "peak", "type": "quantitative", "title": None, "scale": {"zero": True}}},
    }
    return {"hconcat": [lines, memory], "spacing": 40}


def doublings(rows: Sequence[dict[str, Any]]) -> Spec:
    """Seconds as one size after the other doubles, in a panel each; dashed, in proportion to the size."""
    least = rows[0]["seconds"]
    shown = [row | {"kind": "measured"} for row in rows]
    shown += [row | {"kind": "in proportion", "seconds": least * row["times"]} for row in rows]
    kinds = ["measured", "in proportion"]
    by_kind = {"field": "kind", "type": "nominal", "legend": {"title": None, "orient": "bottom"}}
    return {
        "data": {"values": shown},
        "facet": {"column": {"field": "what", "type": "nominal", "sort": None, "title": None}},
        "spec": {
            "width": WIDTH // 3 - 30,
            "height": 200,
            "mark": {"type": "line", "point": {"size": 60, "filled": True}, "strokeWidth": 2},
            "encoding": {
                "x": {
                    "field": "times",
                    "type": "quantitative",
                    "title": "times the size",
                    "axis": {"values": [1, 2, 4]},
                },
                "y": {"field": "seconds", "type": "quantitative", "title": "seconds"},
                "color": by_kind | {"scale": {"domain": kinds, "range": ["@dot", "@faint"]}},
                "strokeDash": {
                    "field": "kind",
                    "type": "nominal",
                    "scale": {"domain": kinds, "range": [[1, 0], [5, 4]]},
                    "legend": None,
                },
            },
        },
    }


def ratios(rows: Sequence[dict[str, Any]]) -> Spec:
    """Dots of ratios on a scale of tens; on the line ours is as good as the peer."""
    values = sorted(
        ({"name": row["name"], "ratio": row["ratio"], "text": ratio_text(row["ratio"])} for row in rows),
        key=lambda row: -float(row["ratio"]),
    )
    place = {"field": "name", "type": "nominal", "sort": [row["name"] for row in values], "title": None}
    x = {
        "field": "ratio",
        "type": "quantitative",
        "scale": {"type": "log"},
        "title": "times better than its peer (1: as good)",
        "axis": {"format": ",~g", "values": [10.0**power for power in range(-3, 6)]},
    }

    def texts(of: str, align: str, dx: int) -> Spec:
        return {
            "transform": [{"filter": of}],
            "mark": {"type": "text", "align": align, "dx": dx, "color": "@text"},
            "encoding": {"y": place, "x": x, "text": {"field": "text"}},
        }

    line = {"type": "rule", "color": "@faint", "strokeDash": [5, 4]}
    dots = {"type": "point", "filled": True, "size": 90, "color": "@dot", "opacity": 1}
    return {
        "title": "Every benchmark against its peer",
        "data": {"values": values},
        "width": WIDTH,
        "height": {"step": 22},
        "layer": [
            {"data": {"values": [{"at": 1}]}, "mark": line, "encoding": {"x": {"field": "at", "type": "quantitative"}}},
            {"mark": dots, "encoding": {"y": place, "x": x}},
            texts("datum.ratio >= 1", "left", 9),
            texts("datum.ratio < 1", "right", -9),
        ],
    }


def ratio_text(ratio: float) -> str:
    """A ratio to three digits."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def share_text(share: float) -> str:
    """A share in words."""
    return {1.0: "the whole compendium", 0.5: "half of it", 0.25: "a quarter of it"}.get(share, f"{share:.3g} of it")


def draw(folder: Path, name: str, spec: Spec) -> None:
    """Write a picture as SVG and PNG, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme, colours in THEMES.items():
        themed = _themed(spec, colours) | {"config": _config(colours), "padding": 12}
        themed["$schema"] = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE[0]}.json"
        (folder / f"{name}_{theme}.svg").write_text(vl_convert.vegalite_to_svg(themed, vl_version=VEGA_LITE) + "\n")
        png = vl_convert.vegalite_to_png(themed, vl_version=VEGA_LITE, scale=2)
        Image.open(io.BytesIO(png)).convert("RGB").save(folder / f"{name}_{theme}.png", optimize=True)


def _themed(value: Any, colours: dict[str, str]) -> Any:
    """The same with the theme's colours in the place of names that begin with @."""
    if isinstance(value, dict):
        return {key: _themed(one, colours) for key, one in value.items()}
    if isinstance(value, list):
        return [_themed(one, colours) for one in value]
    return colours[value[1:]] if isinstance(value, str) and value.startswith("@") else value


def _config(colours: dict[str, str]) -> Spec:
    text, faint, grid = colours["text"], colours["faint"], colours["grid"]
    words = {"labelColor": text, "titleColor": faint, "labelFontSize": 12, "titleFontSize": 12}
    return {
        "background": colours["background"],
        "font": "sans-serif",
        "view": {"stroke": None},
        "title": {"color": text, "fontSize": 14, "anchor": "start", "offset": 12},
        "axis": {**words, "titleFontWeight": "normal", "gridColor": grid, "domainColor": grid, "tickColor": grid},
        "axisY": {"grid": False, "ticks": False, "labelLimit": 240, "labelPadding": 6},
        "legend": words,
        "header": {"labelColor": text, "labelFontSize": 12},
        "text": {"fontSize": 11},
    }
