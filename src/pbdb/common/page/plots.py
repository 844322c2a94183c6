"""Plots of many values: dots in colours, histograms, strips of dots, panels of lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pbdb.common.page import labels
from pbdb.common.page.charts import WIDTH, dots
from pbdb.common.page.svg import Scale, drawing, el, number, scale_over, shortened, text, tick_text, x_axis, y_axis

LEFT, RIGHT = 58.0, WIDTH - 12
LEGEND_STEP = 18.0


@dataclass(frozen=True)
class Group:
    """Dots of one colour (a class of theme.css); `named`: its name is written at its middle too."""

    words: str
    class_: str
    x: list[float]
    y: list[float]
    named: bool = False


def legend(groups: Sequence[tuple[str, str]], top: float = 0.0) -> tuple[list[Element], float]:
    """Draw words beside dots of a class, in two columns where they fit; return them and the height they take."""
    n_columns = 2 if all(len(words) <= 27 for words, _ in groups) and len(groups) > 1 else 1
    parts: list[Element] = []
    for place, (words, class_) in enumerate(groups):
        x = 12 + (WIDTH - 24) / n_columns * (place % n_columns)
        y = top + 12 + LEGEND_STEP * (place // n_columns)
        parts.append(el("path", d=f"M{number(x + 5)} {number(y - 4)}h0", class_=f"dots key {class_}"))
        parts.append(text(x + 16, y, shortened(words, 27 if n_columns == 2 else 58)))
    return parts, top + LEGEND_STEP * math.ceil(len(groups) / n_columns) + 4


def scatter(groups: Sequence[Group], label: str, axes: tuple[str, str], high: float = 300.0) -> Element:
    """Draw groups of dots, the last on top, with a legend and names at the middle of those that ask for it."""
    parts, top = legend([(group.words, group.class_) for group in groups if group.x])
    across = scale_over([x for group in groups for x in group.x], LEFT, RIGHT)
    up = scale_over([y for group in groups for y in group.y], top + high, top + 6)
    frame = [*x_axis(across, top + 6, top + high, axes[0]), *y_axis(up, LEFT, RIGHT, axes[1])]
    drawn = [dots(group.x, group.y, (across, up), group.class_) for group in groups]
    middles = [
        (across(x), up(y), group.words) for group in groups if group.named and group.x for x, y in [_middle(group)]
    ]
    names = labels.beside(middles, LEFT, top, RIGHT, top + high, class_="gene")
    return drawing(WIDTH, top + high + 38, label, *parts, *frame, *drawn, *names)


def _middle(group: Group) -> tuple[float, float]:
    """The dot nearest to the median of a group."""
    x, y = (sorted(values)[len(values) // 2] for values in (group.x, group.y))
    return min(zip(group.x, group.y, strict=True), key=lambda dot: (dot[0] - x) ** 2 + (dot[1] - y) ** 2)


def trend(
    x: list[float], y: list[float], curve: tuple[list[float], list[float]] | None, label: str, axes: tuple[str, str]
) -> Element:
    """Draw dots and a curve through them."""
    high, top = 270.0, 8.0
    on_curve = curve or ([], [])
    across = scale_over([*x, *on_curve[0]], LEFT, RIGHT)
    up = scale_over([*y, *on_curve[1]], top + high, top, among=[0.0])
    frame = [*x_axis(across, top, top + high, axes[0]), *y_axis(up, LEFT, RIGHT, axes[1])]
    line = None
    if curve is not None:
        path = " ".join(f"{number(across(a))},{number(up(b))}" for a, b in zip(*curve, strict=True))
        line = el("polyline", points=path, class_="curve")
    return drawing(WIDTH, top + high + 38, label, *frame, dots(x, y, (across, up), "few"), line)


def histogram(
    series: Sequence[tuple[str, str, Sequence[float]]],
    edges: Sequence[float],
    label: str,
    axes: tuple[str, str],
    guide: float | None = None,
) -> Element:
    """Draw histograms over the same bins: the first filled, others as outlines; series: words, class, height by bin."""
    parts, top = legend([(words, class_) for words, class_, _ in series]) if len(series) > 1 else ([], 4.0)
    high = 230.0
    across = Scale(edges[0], edges[-1], LEFT, RIGHT)
    up = scale_over([0.0, *(h for _, _, heights in series for h in heights)], top + high, top + 6)
    parts += [*x_axis(across, top + 6, top + high, axes[0]), *y_axis(up, LEFT, RIGHT, axes[1])]
    for place, (_, class_, heights) in enumerate(series):
        path = f"M{number(LEFT)} {number(up(0))}"
        for low, end, height in zip(edges, edges[1:], heights, strict=False):
            path += f"L{number(across(low))} {number(up(height))}H{number(across(end))}"
        path += f"V{number(up(0))}Z"
        parts.append(el("path", d=path, class_=f"{'area' if place == 0 else 'outline'} {class_}"))
    if guide is not None:
        parts.append(el("line", x1=LEFT, x2=RIGHT, y1=up(guide), y2=up(guide), class_="guide strong"))
    return drawing(WIDTH, top + high + 38, label, *parts)


@dataclass(frozen=True)
class Strip:
    """A row of dots: groups of values by class, and where the middle lies."""

    name: str
    values: list[tuple[str, list[float]]]
    middle: float


def strips(rows: Sequence[Strip], kinds: Sequence[tuple[str, str]], label: str, axis: str) -> Element:
    """Draw a strip of dots for each row over one scale; kinds: words and class of what dots are."""
    parts, top = legend(kinds)
    head, band = 18.0, 20.0 if len(rows) > 4 else 48.0
    bottom = top + (head + band + 4) * len(rows)
    scale = scale_over([v for row in rows for _, values in row.values for v in values], 14, WIDTH - 14)
    parts += x_axis(scale, top, bottom, axis)
    for place, row in enumerate(rows):
        y = top + (head + band + 4) * place
        parts.append(text(12, y + 13, shortened(row.name, 52), "row"))
        for class_, values in row.values:
            path = "".join(
                f"M{scale(v):.1f} {y + head + band * (0.5 + 0.38 * _jitter(i)):.1f}h0" for i, v in enumerate(values)
            )
            parts += [el("path", d=path, class_=f"dots thin {class_}")] if values else []
        x = scale(row.middle)
        parts.append(el("line", x1=x, x2=x, y1=y + head - 1, y2=y + head + band + 1, class_="middle"))
    return drawing(WIDTH, bottom + 38, label, *parts)


def _jitter(place: int) -> float:
    """Spread places evenly over -1 to 1 without a pattern (golden ratio)."""
    return 2 * ((place * 0.6180339887) % 1.0) - 1


@dataclass(frozen=True)
class Panel:
    """A line through points, with a name."""

    name: str
    x: list[float]
    y: list[float]


def panels(shown: Sequence[Panel], label: str, axes: tuple[str, str], across: int = 3) -> Element:
    """Draw small panels on the same scales, each a line through its points."""
    wide, high, head, gap = (WIDTH - 52) / across, 74.0, 30.0, 8.0
    xs = scale_over([x for panel in shown for x in panel.x], 0, 1)
    ys = scale_over([y for panel in shown for y in panel.y], 1, 0, among=[0.0])
    parts: list[Element | None] = []
    rows = math.ceil(len(shown) / across)
    for place, panel in enumerate(shown):
        left = 48 + wide * (place % across)
        top = head + (high + head + 6) * (place // across) - 10
        inner = Scale(xs.low, xs.high, left + 4, left + wide - gap - 4)
        up = Scale(ys.low, ys.high, top + high, top)
        is_last = place + across >= len(shown)
        parts += _panel(panel, inner, up, (left, left + wide - gap), place % across == 0, is_last)
    bottom = head + (high + head + 6) * rows - 10
    parts.append(text(WIDTH / 2, bottom + 14, axes[0], "axis", text_anchor="middle"))
    turned = f"rotate(-90 12 {number(bottom / 2)})"
    parts.append(text(12, bottom / 2, axes[1], "axis", text_anchor="middle", transform=turned))
    return drawing(WIDTH, bottom + 20, label, *parts)


def _panel(
    panel: Panel, across: Scale, up: Scale, edges: tuple[float, float], is_first: bool, is_last: bool
) -> list[Element | None]:
    bottom, parts = up.start, [text(edges[0], up.end - 5, shortened(panel.name, 19), "row small")]
    for value in up.ticks(2):
        parts.append(el("line", x1=edges[0], x2=edges[1], y1=up(value), y2=up(value), class_="grid"))
        if is_first:
            parts.append(text(edges[0] - 4, up(value) + 4, _short(value), "tick", text_anchor="end"))
    if is_last:
        ticks = across.ticks(2)
        ends = {ticks[0]: "start", ticks[-1]: "end"} if len(ticks) > 1 else {}
        parts += [text(across(v), bottom + 13, tick_text(v), "tick", text_anchor=ends.get(v, "middle")) for v in ticks]
    path = " ".join(f"{number(across(x))},{number(up(y))}" for x, y in zip(panel.x, panel.y, strict=True))
    return [*parts, el("polyline", points=path, class_="line"), dots(panel.x, panel.y, (across, up), "thin")]


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else tick_text(value)
