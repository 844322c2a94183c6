"""Write the page on the quality of plates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict
from xml.etree.ElementTree import Element

import pandas as pd

from pbdb.common.page.charts import Figure
from pbdb.common.page.html import grid, numbers, page, paragraph, section, tiles
from pbdb.common.page.svg import el
from pbdb.common.version import __version__
from pbdb.effects.report import of_effects, of_samples, worries
from pbdb.effects.report.screen import Screen
from pbdb.effects.report.verdicts import N_TESTS, Verdict


class Page(TypedDict):
    """What is told of a page that was written."""

    file: str
    figures: int
    worries: int
    bytes: int


def write(screen: Screen, out: Path, name: Path) -> Page:
    """Write the page to `out`, which will be called `name`; return how many figures, worries and bytes it has."""
    verdicts = worries.judge(screen)
    drawn = list(figures(screen, verdicts))
    text = page(screen.title, body(screen, verdicts, drawn), [])
    out.write_text(text, encoding="utf-8", newline="\n")
    n_worries = sum(v.state == "worry" for v in verdicts)
    return {"file": str(name), "figures": len(drawn), "worries": n_worries, "bytes": len(text.encode())}


def figures(screen: Screen, verdicts: list[Verdict]) -> Iterator[Figure]:
    """Draw every figure that can be drawn."""
    chosen: list[Figure | None] = [
        *of_samples.maps(screen, verdicts),
        of_samples.by_well(screen, verdicts),
        *of_samples.components(screen, verdicts),
        of_samples.replicates(screen),
        of_effects.null_check(screen),
        of_effects.p_values(screen),
        *of_effects.trends(screen),
        of_effects.doses(screen),
        *of_effects.volcanoes(screen),
    ]
    return (figure for figure in chosen if figure is not None)


def body(screen: Screen, verdicts: list[Verdict], drawn: list[Figure]) -> list[Element]:
    """Make the page's body."""
    by_part: dict[str, list[Figure]] = {}
    for figure in drawn:
        by_part.setdefault(figure.key.split("-")[0], []).append(figure)
    head = el(
        "header",
        el("div", el("h1", screen.title), paragraph("Quality of wells, plates, fit and effects.", class_="soft")),
        el("button", "Dark", id="theme", type="button", class_="controls"),
    )
    matrix = f"Not shown: {screen.missing}." if screen.missing else _NOTHING
    main = el(
        "main",
        tiles(screen.facts),
        *(paragraph(note, class_="soft") for note in screen.notes),
        section("What to worry about", *_worries(verdicts), id="worries"),
        section("Plates", paragraph(_plates(screen, by_part)), *_grid(by_part, "plate", "")),
        section("Counts by well" if screen.readout == "counts" else "Levels by well", *_grid(by_part, "wells", matrix)),
        section("Samples beside each other", *_grid(by_part, ("pca", "replicates"), matrix)),
        section("Does the fit hold?", *_grid(by_part, ("null", "p", "trend"), _NO_TESTS), *_lacks(by_part, "trend")),
        section("Effects", *_grid(by_part, ("doses", "volcano"), _NO_EFFECT), *_lacks(by_part, "doses")),
        section("How it was computed", paragraph(_METHOD), id="method"),
    )
    return [head, main, el("footer", el("p", f"Made by pbdb {__version__}; works without a network."))]


def _worries(verdicts: list[Verdict]) -> Iterator[Element]:
    worried = [v for v in verdicts if v.state == "worry"]
    quiet = sum(v.state == "quiet" for v in verdicts)
    for verdict in worried:
        yield el(
            "div",
            el("ul", *(el("li", sentence) for sentence in verdict.says)),
            paragraph(verdict.advice, class_="soft"),
            class_="worry",
        )
    if not worried:
        yield paragraph(_nothing(quiet))
    yield paragraph(
        f"Of {N_TESTS} tests {len(worried)} worry, {quiet} stay quiet, {N_TESTS - len(worried) - quiet} could not be"
        " asked. Their levels add up to 5 % for a page (docs/qc.md has what was measured); a quiet test is no proof"
        " that all is well.",
        class_="soft",
    )
    yield numbers(_table(verdicts), "All tests, with statistic and threshold")


def _nothing(quiet: int) -> str:
    if not quiet:
        return "No test could be asked: see below what each would need."
    of = "The one test that could be asked" if quiet == 1 else f"None of the {quiet} tests that could be asked"
    return f"{of} found {'no' if quiet == 1 else 'a'} fault."


def _table(verdicts: list[Verdict]) -> pd.DataFrame:
    rows = [(v.asks, v.state, v.statistic or v.not_tested, v.p, v.method) for v in verdicts]
    return pd.DataFrame(rows, columns=["test", "result", "statistic", "p", "how"]).astype({"p": float})


def _grid(by_part: dict[str, list[Figure]], parts: str | tuple[str, ...], otherwise: str) -> list[Element]:
    chosen = [figure for part in ([parts] if isinstance(parts, str) else parts) for figure in by_part.get(part, [])]
    if chosen:
        return [grid(chosen, "grid pairs" if parts == "plate" else "grid")]
    return [paragraph(otherwise, class_="soft")] if otherwise else []


def _lacks(by_part: dict[str, list[Figure]], part: str) -> list[Element]:
    """Say why a figure is not there beside others."""
    return [] if part in by_part or not by_part else [paragraph(LACKS[part], class_="soft")]


def _plates(screen: Screen, by_part: dict[str, list[Figure]]) -> str:
    n = screen.wells["plate"].nunique()
    shown = len({figure.key.split("-")[1] for figure in by_part.get("plate", [])})
    if not shown:
        return "No map: wells have no place on their plate (column well), or several share one."
    which = "All plates are drawn" if shown == n else f"{shown} of {n:,} plates are drawn, those a test points at first"
    return f"{which}. Look for gradients, stripes, and rims."


_NOTHING = "There is nothing to show: too few wells take part."
_NO_TESTS = "There is nothing to show: no p value is stored."
LACKS = {
    "trend": "No trend of mean and spread: DESeq2 fits every effect by itself, and a fit of no gene has none.",
    "doses": "No genes by dose: no compound was fitted at two doses.",
}
_NO_EFFECT = "There is nothing to show: no effect could be estimated."
_METHOD = (
    "Counts are compared as log2 counts per million (prior count 2 in proportion to the library), on the 500 most"
    " variable of the 2,000 most expressed genes, chosen on at most 2,000 wells. Effects, p values and the check on"
    " vehicle wells are those of the fit. The tests, their formulas, and their rates of false alarms on simulated clean"
    " plates stand in docs/qc.md of pbdb."
)
