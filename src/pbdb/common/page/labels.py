"""Names beside dots, where there is room for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pbdb.common.page.svg import shortened, text

WIDE = 7.0
MOST_LETTERS = 16


@dataclass(frozen=True)
class _Box:
    x1: float
    y1: float
    x2: float
    y2: float

    def meets(self, other: _Box) -> bool:
        return self.x1 < other.x2 and other.x1 < self.x2 and self.y1 < other.y2 and other.y1 < self.y2


def beside(
    places: Iterable[tuple[float, float, str]],
    left: float,
    top: float,
    right: float,
    bottom: float,
    *,
    most: int = MOST_LETTERS,
    class_: str = "gene",
) -> list[Element]:
    """Write each name beside its place (x, y, name), within a frame and over no other; without room it is left out."""
    taken: list[_Box] = []
    parts = []
    for across, up, name in places:
        words = shortened(name, most)
        wide = WIDE * len(words)
        for dx, dy in ((6, 4), (-6 - wide, 4), (-wide / 2, -7), (-wide / 2, 15)):
            x, y = across + dx, up + dy
            box = _Box(x, y - 10, x + wide, y + 2)
            inside = box.x1 > left and box.x2 < right and box.y1 > top and box.y2 < bottom
            if inside and not any(box.meets(other) for other in taken):
                taken.append(box)
                parts.append(text(x, y, words, class_))
                break
    return parts
