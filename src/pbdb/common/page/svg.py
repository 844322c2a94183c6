"""Drawing in SVG: elements, scales and axes, in the colours of theme.css."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

NAMESPACE = "http://www.w3.org/2000/svg"
THEME = Path(__file__).with_name("theme.css")
Child = Element | str | None


def el(tag: str, *children: Child, **attributes: object) -> Element:
    """Make an element of XML or HTML; `class_` becomes class, `stroke_width` stroke-width; None is left out."""
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), number(value) if isinstance(value, float) else str(value))
    last: Element | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + child
            else:
                last.tail = (last.tail or "") + child
        elif child is not None:
            made.append(child)
            last = child
    return made


def number(value: float) -> str:
    """Write a coordinate with two decimals at most."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def drawing(width: float, height: float, label: str, *children: Child) -> Element:
    """Make a drawing with a name for those who do not see it."""
    box = f"0 0 {number(width)} {number(height)}"
    return el("svg", *children, viewBox=box, width=width, height=height, role="img", aria_label=label, class_="figure")


def standalone(picture: Element) -> bytes:
    """Write a drawing as a file of its own, which brings its colours for light and dark."""
    document = el("svg", el("style", THEME.read_text(encoding="utf-8")), *picture, **picture.attrib)
    for name, value in (("viewBox", picture.get("viewBox", "")), ("xmlns", NAMESPACE)):
        document.set(name, value)
    return bytes(tostring(document, encoding="utf-8", xml_declaration=True))


def text(x: float, y: float, words: str, class_: str = "label", **attributes: object) -> Element:
    """Write words at a place."""
    return el("text", words, x=x, y=y, class_=class_, **attributes)


def shortened(words: str, most: int) -> str:
    """Cut what is too long, with an ellipsis."""
    return words if len(words) <= most else words[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Scale:
    """A linear scale from values to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values within the scale, about so many."""
        step = _round_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        return [place * step for place in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale_over(values: Sequence[float], start: float, end: float, *, among: Sequence[float] = ()) -> Scale:
    """Make a scale over all values, and those it must show, that ends at round ones."""
    known = [value for value in (*values, *among) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / 5)
    return Scale(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end)


def _round_step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return size * next(step for step in (1, 2, 2.5, 5, 10) if step * size >= rough - 1e-12)


def tick_text(value: float) -> str:
    """Write a tick's value."""
    return f"{0.0 if abs(value) < 1e-12 else value:.6g}".replace("-", "\N{MINUS SIGN}")


def x_axis(scale: Scale, top: float, bottom: float, title: str, about: int = 5) -> list[Element]:
    """Draw grid lines, ticks and title of a horizontal axis."""
    parts = []
    for value in scale.ticks(about):
        x = scale(value)
        parts.append(el("line", x1=x, x2=x, y1=top, y2=bottom, class_="zero" if abs(value) < 1e-12 else "grid"))
        parts.append(text(x, bottom + 15, tick_text(value), "tick", text_anchor="middle"))
    return [*parts, text((scale.start + scale.end) / 2, bottom + 30, title, "axis", text_anchor="middle")]


def y_axis(scale: Scale, left: float, right: float, title: str, about: int = 5) -> list[Element]:
    """Draw grid lines, ticks and title of a vertical axis."""
    parts = []
    for value in scale.ticks(about):
        y = scale(value)
        parts.append(el("line", x1=left, x2=right, y1=y, y2=y, class_="zero" if abs(value) < 1e-12 else "grid"))
        parts.append(text(left - 7, y + 3, tick_text(value), "tick", text_anchor="end"))
    middle = (scale.start + scale.end) / 2
    turned = f"rotate(-90 12 {number(middle)})"
    return [*parts, text(12, middle, title, "axis", text_anchor="middle", transform=turned)]
