"""What the page says, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from pbdb.common.page import charts
from pbdb.common.page.charts import Figure, Line, Mark, Whisker
from pbdb.common.page.html import framed, grid, numbers, paragraph, section, tiles
from pbdb.common.page.svg import el, tick_text
from pbdb.matches.report import single
from pbdb.matches.report.data import GENES_PER_MATCH, MOST_CONTEXTS, MOST_PAIRS, POINTS_PER_PAIR, RANK, Contents, Match

if TYPE_CHECKING:
    import pandas as pd

BASELINES = {
    "score": Mark("the same compound in both data sets (matched)", "score", size=5.2),
    "source_centroid": Mark("mean of other compounds, own data set", "centroid"),
    "target_centroid": Mark("mean of other compounds, partner's data set", "centroid", hollow=True),
    "source_peer_mean": Mark("single other compounds, own data set", "peer"),
    "target_peer_mean": Mark("single other compounds, partner's data set", "peer", hollow=True),
}
OF_REPLICATES = {
    "score": Mark("replicates of one condition", "score", size=5.2),
    "source_centroid": BASELINES["source_centroid"],
    "source_peer_mean": BASELINES["source_peer_mean"],
}
OF_RETRIEVAL = {
    "normalised_rank": Mark("normalised rank of the best match", "score", size=5.2),
    "normalised_rank_floor": Mark("exact expectation under random labels", "floor", hollow=True),
    "source_centroid": BASELINES["source_centroid"],
    "target_centroid": BASELINES["target_centroid"],
    "source_peer": BASELINES["source_peer_mean"],
    "target_peer": BASELINES["target_peer_mean"],
    "control_normalised_rank": Mark("control: the compound's other doses, own data set", "floor"),
}
REPLICATE_RETRIEVAL = {
    "normalised_rank": Mark("normalised rank of the best replicate", "score", size=5.2),
    "normalised_rank_floor": OF_RETRIEVAL["normalised_rank_floor"],
}
METRICS = {
    "spearman_log2_fc": (
        "Rank agreement, all genes",
        "Spearman correlation of log2 fold changes over all genes that both data sets test. 0: unrelated; 1: the same"
        " order.",
        None,
    ),
    "deg_spearman": (
        "Rank agreement, significant genes",
        "Spearman correlation over the genes significant on one side, mean of both sides.",
        None,
    ),
    "direction": (
        "Direction agreement",
        "Share of the genes significant on one side that go the same way on the other, mean of both sides. 0.5 is"
        " what a coin would give.",
        0.5,
    ),
    "cosine_log2_fc": (
        "Cosine, all genes",
        "Cosine of log2 fold changes: as rank agreement, but strong genes weigh more.",
        None,
    ),
    "signed_overlap_50": (
        "Overlap of the strongest genes",
        "Share that the 50 genes most up, and the 50 most down (by moderated t), have in common.",
        None,
    ),
    "jaccard": (
        "The same significant genes",
        "Genes significant on both sides over genes significant on either (Jaccard); a mean of compounds has no"
        " significant genes.",
        None,
    ),
}
WINDOWS = {"exact": "the same dose", "within_2": "within two-fold", "within_3": "within three-fold"}
WINDOWS["within_10"] = "within ten-fold"
FOLDS = {"same": "the same dose", "up_to_2": "up to two-fold", "up_to_3": "up to three-fold"}
FOLDS |= {"up_to_10": "up to ten-fold", "beyond_10": "beyond (not compared)"}


def body(contents: Contents, drawn: list[Figure], of_matches: list[Figure]) -> list[Element]:
    """Make the page's body from its contents, `all_figures` and `match_figures` of them."""
    by_part: dict[str, list[Figure]] = {}
    for figure in drawn:
        by_part.setdefault(figure.key.split("-")[0], []).append(figure)
    main = el(
        "main",
        *_opening(contents),
        section("What is here", grid(by_part["coverage"]), id="coverage"),
        section("What can be compared", paragraph(_MATCHING), grid(by_part["counts"] + by_part["folds"]), id="counts"),
        section("How far data sets agree", paragraph(_AGREEMENT), grid(by_part["agreement"]), _all(contents)),
        section("Does a signature find its partner?", paragraph(_RETRIEVAL), _grid_or(by_part, "retrieval", _NONE)),
        section("Direction against rank", paragraph(_clouds(contents)), _grid_or(by_part, "cloud", _NONE)),
        section("How far replicates agree", paragraph(_WELLS), _grid_or(by_part, "replicates", _NO_REPLICATES)),
        section("Single matches", paragraph(_single(contents)), *_browser(contents, of_matches)),
        section("How it was computed", *_method(contents), id="method"),
    )
    return [_head(contents), main, el("footer", el("p", "Made by pbdb; works without a network."))]


def all_figures(contents: Contents) -> list[Figure]:
    """Draw every figure but those of single matches."""
    return [
        _coverage(contents.coverage),
        *_counts(contents),
        *_agreement(contents.summaries),
        *_retrieval(contents.summaries),
        *_cloud_figures(contents.points),
        *_replicates(contents.replicates),
        *_replicate_retrieval(contents.replicates),
    ]


def match_figures(contents: Contents) -> list[Figure]:
    """Draw the genes of every match that was picked."""
    places = {symbol: place for place, symbol in enumerate(symbols(contents))}
    return [
        Figure(
            f"match-{match.about.match_id}",
            single.title(match),
            _about_match(match),
            single.scatter(match, places),
            single.named(match.genes),
        )
        for match in contents.matches
    ]


def symbols(contents: Contents) -> list[str]:
    """Every gene symbol of the matches shown, once."""
    return sorted({symbol for match in contents.matches for symbol in match.genes["gene_symbol"]})


def _pairs(table: pd.DataFrame) -> list[str]:
    return [_pair(a, b) for a, b in zip(table["dataset_a"], table["dataset_b"], strict=True)]


def _pair(a: object, b: object) -> str:
    return f"{a} \N{MULTIPLICATION SIGN} {b}"


def _coverage(table: pd.DataFrame) -> Figure:
    title = "Compounds by data set and cells"
    caption = "Number of compounds measured in each cell line or cell type; a stronger colour means more."
    by_cells = table.groupby("context_name")["n_compounds"].agg(["size", "sum"])
    shown = by_cells.sort_values(["size", "sum"], ascending=False).index[:MOST_CONTEXTS]
    if len(by_cells) > MOST_CONTEXTS:
        caption += f" The {MOST_CONTEXTS} of {len(by_cells)} that most data sets have; the table has all."
    order = {name: place for place, name in enumerate(shown)}
    rows = table[table["context_name"].isin(shown)]
    rows = rows.sort_values("context_name", key=lambda names: names.map(order), kind="stable")
    picture = charts.heat(rows, "context_name", "dataset", "n_compounds", title)
    return Figure("coverage", title, caption, picture, table, "wide")


def _counts(contents: Contents) -> Iterator[Figure]:
    counts, folds = contents.counts, contents.folds
    title = "Matched conditions by window of doses"
    picture = charts.bars(counts, WINDOWS, _pairs(counts), title, "matched conditions")
    caption = "Conditions that count at each window: nearest in dose, and at least ten compounds shared in the cells."
    yield Figure("counts", title, caption, picture, counts)
    title = "How far apart the doses are"
    caption = "Of all mutually nearest pairs of conditions, the share by fold difference in dose; their number on the"
    picture = charts.stacked(folds, FOLDS, title, _pairs(folds))
    yield Figure("folds", title, f"{caption} right.", picture, folds)


def _agreement(table: pd.DataFrame) -> Iterator[Figure]:
    for metric, (title, caption, guide) in METRICS.items():
        rows = table[(table["metric"] == metric) & table["quantity"].isin(BASELINES)]
        picture = charts.whiskers(_lines(rows, BASELINES), BASELINES, title, "mean with 95 % interval", guide)
        yield Figure(f"agreement-{metric}", title, caption, picture, _ordered(rows, BASELINES))


def _retrieval(table: pd.DataFrame) -> Iterator[Figure]:
    for kind in ("cosine", "spearman"):
        rows = table[(table["metric"] == f"retrieval_{kind}") & table["quantity"].isin(OF_RETRIEVAL)]
        if not rows.empty:
            title = f"Retrieval by {kind} similarity"
            axis = "normalised rank (1: always first), 95 % interval"
            picture = charts.whiskers(_lines(rows, OF_RETRIEVAL), OF_RETRIEVAL, title, axis)
            caption = (
                "1: the partner always comes first. The expectation is exact, and above 0.5 where there are several"
                " partners. Baselines: the rank that other compounds would take."
            )
            yield Figure(f"retrieval-{kind}", title, caption, picture, _ordered(rows, OF_RETRIEVAL))


def _cloud_figures(points: pd.DataFrame) -> Iterator[Figure]:
    sizes = points.groupby(["dataset_a", "dataset_b"]).size().nlargest(MOST_PAIRS)
    for place, (a, b) in enumerate(sorted(sizes.index)):
        rows = points[(points["dataset_a"] == a) & (points["dataset_b"] == b)]
        title = _pair(a, b)
        axes = ("rank agreement, all genes", "direction agreement")
        picture = single.cloud(rows["rank_agreement"].tolist(), rows["direction_agreement"].tolist(), title, axes)
        caption = f"{len(rows):,} of {int(rows['n_of_pair'].iloc[0]):,} matches; dashed: what chance would give."
        yield Figure(f"cloud-{place + 1}", title, caption, picture, rows.drop(columns=["place", "n_of_pair"]))


def _replicates(table: pd.DataFrame) -> Iterator[Figure]:
    for metric, (title, _, guide) in METRICS.items():
        rows = table[(table["metric"] == metric) & table["quantity"].isin(OF_REPLICATES)]
        if not rows.empty:
            picture = charts.whiskers(
                _lines(rows, OF_REPLICATES), OF_REPLICATES, title, "mean with 95 % interval", guide
            )
            caption = "Single wells of one condition against each other, within a data set."
            yield Figure(f"replicates-{metric}", title, caption, picture, _ordered(rows, OF_REPLICATES))


def _replicate_retrieval(table: pd.DataFrame) -> Iterator[Figure]:
    marks = REPLICATE_RETRIEVAL
    rows = table[(table["metric"] == "retrieval_cosine") & table["quantity"].isin(marks)]
    if not rows.empty:
        title = "Retrieval of replicates by cosine similarity"
        axis = "normalised rank (1: always first), 95 % interval"
        caption = "Each well asks for the other wells of its condition among all wells of the cells at that time."
        picture = charts.whiskers(_lines(rows, marks), marks, title, axis)
        yield Figure("replicates-retrieval", title, caption, picture, _ordered(rows, marks))


def _ordered(rows: pd.DataFrame, marks: dict[str, Mark]) -> pd.DataFrame:
    """Sort the rows of summaries as they are drawn."""
    place = rows["quantity"].map({name: at for at, name in enumerate(marks)})
    return rows.assign(place=place).sort_values(["dataset_a", "dataset_b", "place"]).drop(columns="place")


def _lines(rows: pd.DataFrame, marks: dict[str, Mark]) -> list[Line]:
    lines = []
    for (a, b), part in rows.groupby(["dataset_a", "dataset_b"], sort=True):
        by_quantity = part.set_index("quantity")
        means = [
            Whisker(name, *map(float, by_quantity.loc[name, ["mean", "interval_low", "interval_high"]]))
            for name in marks
            if name in by_quantity.index
        ]
        lines.append(Line(str(a) if a == b else _pair(a, b), means))
    return lines


def _grid_or(by_part: dict[str, list[Figure]], part: str, otherwise: str) -> Element:
    return grid(by_part[part]) if part in by_part else paragraph(otherwise, class_="soft")


def _head(contents: Contents) -> Element:
    when = f"{contents.run.created_at:%d %B %Y}"
    words = el(
        "div", el("h1", "Do data sets agree?"), paragraph(f"Matched conditions, computed {when}.", class_="soft")
    )
    return el("header", words, el("button", "Dark", id="theme", type="button", class_="controls"))


def _opening(contents: Contents) -> Iterator[Element]:
    yield paragraph(_OPENING)
    yield tiles(
        {
            "data sets": contents.coverage["dataset"].nunique(),
            "cell lines and cell types": contents.coverage["context_name"].nunique(),
            "pairs of data sets compared": contents.summaries[["dataset_a", "dataset_b"]].drop_duplicates().shape[0],
            f"matched conditions within {contents.run.dose_window:g}-fold dose": len_of(contents),
        }
    )


def _all(contents: Contents) -> Element:
    return numbers(contents.summaries, "All statistics of all pairs, with their baselines and differences")


def _clouds(contents: Contents) -> str:
    n_pairs = contents.points[["dataset_a", "dataset_b"]].drop_duplicates().shape[0]
    shown = f" The {MOST_PAIRS} pairs with most matches of {n_pairs} are shown." if n_pairs > MOST_PAIRS else ""
    return f"{_DIRECTION} Each dot is a match; at most {POINTS_PER_PAIR} of each pair are drawn, by chance.{shown}"


def _single(contents: Contents) -> str:
    return (
        f"{len(contents.matches)} of {len_of(contents):,} matches, picked evenly from the most to the least agreeing of"
        f" each pair. Of each, at most {GENES_PER_MATCH} genes are drawn: those that move most, and a sample of the"
        " rest. Point at a dot to read its gene."
    )


def len_of(contents: Contents) -> int:
    """Matches that count in the window of the run."""
    table = contents.summaries
    return int(table.loc[(table["metric"] == RANK) & (table["quantity"] == "score"), "n_matches"].sum())


def _about_match(match: Match) -> str:
    about = match.about
    direction = about.direction_agreement
    words = "not defined" if direction != direction else f"{direction:.2f}"  # noqa: PLR0124 - NaN
    return (
        f"{about.dataset_a} against {about.dataset_b}: rank agreement {about.rank_agreement:.2f}, direction"
        f" agreement {words}, doses {about.dose_fold:.3g}-fold apart; {len(match.genes):,} of {match.n_genes:,}"
        " genes drawn."
    )


def _browser(contents: Contents, drawn: list[Figure]) -> Iterator[Element]:
    buttons = (_button(match, figure) for match, figure in zip(contents.matches, drawn, strict=True))
    search = el(
        "input", id="search", type="search", placeholder="Filter: compound, cells, data set", aria_label="Filter"
    )
    chooser = el("div", search, el("div", *buttons, class_="list"), class_="controls")
    yield el("div", chooser, el("div", *(_one(figure) for figure in drawn)), class_="browser")


def _button(match: Match, figure: Figure) -> Element:
    about = match.about
    words = el(
        "div", figure.title, el("br"), el("span", f"{about.dataset_a} \N{MULTIPLICATION SIGN} {about.dataset_b}")
    )
    score = el("b", tick_text(round(about.rank_agreement, 2)))
    return el("button", words, score, type="button", data_match=f"box-{figure.key}", aria_pressed="false")


def _one(figure: Figure) -> Element:
    return el(
        "div", el("p", class_="says soft", aria_live="polite"), framed(figure), id=f"box-{figure.key}", class_="match"
    )


def _method(contents: Contents) -> Iterator[Element]:
    parameters = contents.run.parameters
    yield el("ul", *(el("li", f"{name}: {value}") for name, value in sorted(parameters.items()) if name != "fits"))
    fits: dict[str, dict[str, str | None]] = parameters.get("fits", {})
    yield el("ul", *(el("li", f"{name}: {_fit(facts)}") for name, facts in sorted(fits.items())))
    yield paragraph(f"Run {contents.run.parameters_id}, code {contents.run.code_version}. {_INTERVALS}")


def _fit(facts: dict[str, str | None]) -> str:
    return f"{facts['method']}, expression filter {facts['filter']}, batching {facts['batching'] or 'none'}{_p(facts)}"


def _p(facts: dict[str, str | None]) -> str:
    """Which test p values are of; runs of earlier versions do not say."""
    return f", p values of {facts['p_values']}" if facts.get("p_values") else ""


_OPENING = (
    "The same compound, in the same cells, for the same time, was measured in several data sets. This page shows how"
    " many such pairs of conditions there are, and how far their responses agree beside what one would see anyway:"
    " between a condition and other compounds of the same data set, or of the partner's."
)
_MATCHING = (
    "Two conditions match where compound, cells and time are the same and each dose is the other's nearest. Pairs of"
    " data sets count in cells where they share at least ten compounds."
)
_AGREEMENT = (
    "A blue dot to the right of all others says that data sets agree on what this compound does, beyond what all"
    " compounds have in common and beyond what two profiles of one laboratory share. Whiskers are 95 % intervals over"
    " compounds."
)
_RETRIEVAL = (
    "A condition of one data set is compared with all matched conditions of the other in the same cells; its partner"
    " should come first."
)
_DIRECTION = (
    "Data sets can agree on which way genes go without agreeing on how far: such matches stand high and in the middle."
)
_WELLS = (
    "What single wells of one condition share, within a data set. Data sets were compared by effects of several wells"
    " where there are several: these are less noisy, and can agree better."
)
_NO_REPLICATES = (
    "Not computed yet: run pbdb effects run DATASET --mode replicate, then pbdb agreement replicates, and make this"
    " page again."
)
_NONE = "There is nothing to show: no stratum is large enough."
_INTERVALS = (
    "Intervals are bias-corrected and accelerated bootstraps that resample compounds: they hold for the compounds"
    " measured, not for chemistry at large."
)
