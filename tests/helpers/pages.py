"""A page of one file as a test reads it: its elements and tables, and that it is alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "input", "link", "img", "hr"}


class Page(HTMLParser):
    """Elements with their attributes and the tables of the page; an unclosed tag fails."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.owner = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "figure":
            self.owner = str(dict(attrs)["id"])
            self.tables[self.owner] = []
        if tag == "tr" and self.owner:
            self.tables[self.owner].append([])
        if tag in ("td", "th") and self.owner:
            self.tables[self.owner][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "figure":
            self.owner = ""

    def handle_data(self, words: str) -> None:
        if self.owner and self.open[-1] in ("td", "th"):
            self.tables[self.owner][-1][-1] += words

    def rows(self, figure: str) -> list[dict[str, str]]:
        """The table behind a figure."""
        head, *rows = self.tables[figure]
        return [dict(zip(head, row, strict=True)) for row in rows]


def is_alone(page: Page, source: str) -> bool:
    """Whether the page asks for nothing outside itself."""
    outside = re.search(r"https?:|//\w+\.\w|@import|url\(", source)
    asking = [
        tag
        for tag, attributes in page.elements
        if tag in ("link", "img", "iframe") or {"src", "href", "onclick"} & set(attributes)
    ]
    return source.startswith("<!DOCTYPE html>") and not outside and not asking
