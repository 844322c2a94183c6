"""Figures of fits and effects: p values, trend, doses, volcanoes, the check on vehicle wells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from pbdb.common.page import labels, plots
from pbdb.common.page.charts import WIDTH, Figure, Line, Mark, Whisker, dots, whiskers
from pbdb.common.page.svg import drawing, scale_over, x_axis, y_axis
from pbdb.effects.report.screen import FitPicture, Screen, Volcano

ALPHA = 0.05
MOST_FITS, MOST_CHECKED = 4, 24
TREND_GENES, VOLCANO_GENES, VOLCANO_NAMES = 1500, 700, 14
MOST_PANELS = 12
NULL = {"share": Mark("vehicle wells with a significant gene, exact 95 % interval", "score", size=5.2)}


def p_values(screen: Screen) -> Figure | None:
    """The histogram of all p values."""
    n = screen.p_values.astype(np.float64)
    total = n.sum()
    if not total:
        return None
    edges = np.linspace(0, 1, len(n) + 1)
    share = n / total
    half = share[len(n) // 2 :].mean() * len(n)
    title = f"{share[: len(n) // 20].sum():.1%} of p values are below 0.05; 5 % would be if nothing responded"
    caption = (
        f"{int(total):,} p values{screen.p_source}. The line is where all would be without any response; a level right"
        f" part is right. About {min(1.0, half):.0%} of the tests look unresponsive, by the right half. A rise to the"
        " right, or a hill, would say that p values do not hold."
    )
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "tests": n.astype(np.int64), "share": share})
    picture = plots.histogram(
        [("p values", "area", share.tolist())], edges.tolist(), title, ("p value", "share of tests"), 1 / len(n)
    )
    return Figure("p-values", title, caption, picture, table)


def trends(screen: Screen) -> Iterator[Figure]:
    """Mean and variance of genes with the curve, of the fits with most genes."""
    drawable = [fit for fit in screen.fits if len(fit.x)]
    for place, fit in enumerate(sorted(drawable, key=lambda fit: -len(fit.x))[:MOST_FITS], start=1):
        order = np.argsort(fit.x, kind="stable")
        order = order[np.isfinite(fit.y[order]) & np.isfinite(fit.x[order])]
        some = order[:: max(1, -(-len(order) // TREND_GENES))]
        x, y = fit.x[some], fit.y[some]
        curve = None if fit.curve is None else _thinned(*fit.curve)
        title = _trend_title(fit)
        caption = f"{len(some):,} of {len(order):,} genes of {fit.label}. {fit.words}"
        if len(drawable) > MOST_FITS and place == 1:
            caption += f" The {MOST_FITS} fits with most genes of {len(drawable)} are drawn."
        table = (
            pd.DataFrame({fit.axes[0]: x, fit.axes[1]: y})
            if curve is None
            else pd.DataFrame({fit.axes[0]: curve[0], f"curve: {fit.axes[1]}": curve[1]})
        )
        picture = plots.trend(x.tolist(), y.tolist(), curve, f"{title}, {fit.label}", fit.axes)
        yield Figure(f"trend-{place}", title, caption, picture, table)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[list[float], list[float]]:
    some = np.unique(np.linspace(0, len(x) - 1, 60).astype(int))
    return x[some].tolist(), y[some].tolist()


def _trend_title(fit: FitPicture) -> str:
    if fit.curve is None or len(fit.curve[1]) < 2:
        return f"Spread of genes, {fit.label}"
    first, last = float(fit.curve[1][0]), float(fit.curve[1][-1])
    if last > 0.9 * first:
        return f"The spread of genes does not fall with their level, {fit.label}"
    return f"The spread falls {first / max(last, 1e-9):.1f}-fold from the lowest to the highest genes, {fit.label}"


def doses(screen: Screen) -> Figure | None:
    """Significant genes by dose, of compounds with most of them."""
    ok = screen.effects[(screen.effects["status"] == "ok") & (screen.effects["dose_um"] > 0)]
    if ok.empty:
        return None
    table = (
        ok.assign(degs=ok["n_up"] + ok["n_down"])
        .groupby(["group", "compound", "time_h", "dose_um"], as_index=False, dropna=False)["degs"]
        .median()
    )
    several = table.groupby(["group", "compound", "time_h"])["dose_um"].transform("nunique") > 1
    series = table[several]
    if series.empty:
        return None
    most = series.groupby(["group", "compound", "time_h"])["degs"].max().sort_values(ascending=False)
    n_groups, n_times = series["group"].nunique(), series["time_h"].nunique()
    panels = []
    for key in most.index[:MOST_PANELS]:
        rows = series[(series[["group", "compound", "time_h"]] == list(key)).all(axis=1)].sort_values("dose_um")
        name = " ".join(
            [str(key[1]), *([f"{key[2]:g} h"] if n_times > 1 else []), *([str(key[0])] if n_groups > 1 else [])]
        )
        panels.append(plots.Panel(name, np.log10(rows["dose_um"]).tolist(), rows["degs"].astype(float).tolist()))
    top = series.loc[series["degs"].idxmax()]
    active = int((most >= 10).sum())
    title = (
        f"{active} of {len(most)} dose series reach 10 significant genes; most: {top['compound']}, {top['degs']:,.0f}"
    )
    caption = (
        f"Genes with adjusted p below {ALPHA} by dose. The {len(panels)} series with most of {len(most)} are drawn."
    )
    picture = plots.panels(panels, title, ("log10 dose (\N{MICRO SIGN}M)", "significant genes"))
    shown = pd.DataFrame(table).sort_values("degs", ascending=False).head(1000)
    return Figure("doses", title, caption, picture, shown)


def volcanoes(screen: Screen) -> Iterator[Figure]:
    """The strongest effects, gene by gene."""
    for place, volcano in enumerate(screen.volcanoes, start=1):
        yield _volcano(place, volcano)


def _volcano(place: int, volcano: Volcano) -> Figure:
    genes = volcano.genes[volcano.genes["p_value"].notna()].copy()
    genes["height"] = -np.log10(genes["p_value"].clip(lower=1e-300))
    significant = genes["p_adj"] < ALPHA
    order = genes.sort_values("p_value", kind="stable")
    strongest = order.index[: VOLCANO_GENES // 2]
    rest = order.index[VOLCANO_GENES // 2 :]
    shown = genes.loc[strongest.append(rest[:: max(1, -(-len(rest) // (VOLCANO_GENES // 2)))])]
    up, down = int((significant & (genes["log2_fc"] > 0)).sum()), int((significant & (genes["log2_fc"] < 0)).sum())
    high, left, right = 290.0, plots.LEFT, plots.RIGHT
    groups = [("not significant", "few"), ("down, adjusted p < 0.05", "left"), ("up, adjusted p < 0.05", "both")]
    key, top = plots.legend(groups)
    across = scale_over(shown["log2_fc"].tolist(), left, right, among=[-1, 1])
    upward = scale_over(shown["height"].tolist(), top + high, top + 6, among=[0, 2])
    is_found = significant[shown.index]
    parts: list[Element | None] = [
        *key,
        *x_axis(across, top + 6, top + high, "log2 fold change"),
        *y_axis(upward, left, right, "\N{MINUS SIGN}log10 p"),
    ]
    for class_, mask in (
        ("few", ~is_found), ("left", is_found & (shown["log2_fc"] < 0)), ("both", is_found & (shown["log2_fc"] > 0)),
    ):  # fmt: skip
        parts.append(
            dots(shown.loc[mask, "log2_fc"].tolist(), shown.loc[mask, "height"].tolist(), (across, upward), class_)
        )
    named = shown.loc[order.index[:VOLCANO_NAMES]]
    places = [
        (across(a), upward(b), str(g)) for g, a, b in named[["gene", "log2_fc", "height"]].itertuples(index=False)
    ]
    parts += labels.beside(places, left, top, right, top + high)
    title = f"{volcano.title}: {up:,} genes up, {down:,} down"
    caption = (
        f"{len(shown):,} of {len(genes):,} genes are drawn: all of the smallest p values, and a sample of the rest."
    )
    picture = drawing(WIDTH, top + high + 38, f"Volcano: {title}", *parts)
    table = order.head(100)[["gene", "log2_fc", "p_value", "p_adj"]]
    return Figure(f"volcano-{place}", title, caption, picture, table)


class _Check(NamedTuple):
    fit: str
    n_wells: int
    any_share: float
    any_share_low: float
    any_share_high: float
    tail_ratio: float


def null_check(screen: Screen) -> Figure | None:
    """The check on vehicle wells, a line a fit."""
    checked = [(fit.label, fit.null) for fit in screen.fits if fit.null is not None]
    if not checked:
        return None
    table = pd.DataFrame(
        {
            "fit": [label for label, _ in checked],
            **{
                name: [getattr(null, name) for _, null in checked]
                for name in ("n_wells", "any_share", "any_share_low", "any_share_high", "tail_ratio")
            },
        }
    ).sort_values("any_share", ascending=False)
    lines = [
        Line(
            f"{row.fit}: {row.n_wells} wells, tail ratio {row.tail_ratio:.2f}",
            [Whisker("share", row.any_share, row.any_share_low, row.any_share_high)],
        )
        for row in map(_Check._make, table.head(MOST_CHECKED).itertuples(index=False, name=None))
    ]
    worst = table.iloc[0]
    among = "" if len(table) == 1 else f" in {worst['fit']}, the worst of {len(table)} fits"
    title = (
        f"{worst['any_share']:.0%} of vehicle wells have a significant gene"
        f" ({worst['any_share_low']:.0%} to {worst['any_share_high']:.0%}){among}; 5 % are expected"
    )
    caption = (
        "Each vehicle well is tested against the others of its vehicle, as if it were a treated well: nothing should"
        " respond. Where p values hold, 5 % of these wells (dashed) have any gene at adjusted p below 0.05, and the"
        " tail ratio (tests with p below 0.001, over the number expected) is near 1. An interval wholly above 5 % says"
        " that effects have false genes; one that holds 5 % shows no harm, which is no proof that there is none."
    )
    picture = whiskers(lines, NULL, title, "share of vehicle wells", 0.05)
    return Figure("null-check", title, caption, picture, table)
