"""One match: its two signatures against each other, with the genes that move most named."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from pbdb.common.page import labels
from pbdb.common.page.charts import dots
from pbdb.common.page.svg import Scale, drawing, el, scale_over, text, x_axis, y_axis
from pbdb.matches.report.data import Match

if TYPE_CHECKING:
    import pandas as pd

SIZE, LEFT, TOP = 400.0, 52.0, 70.0
NAMED = 14
ALPHA = 0.05
MU = "\N{MICRO SIGN}M"
GROUPS = {"few": "neither", "left": "the first only", "right": "the second only", "both": "both"}
COLOURS = {"few": "peer", "left": "centroid", "right": "floor", "both": "score"}


def groups(genes: pd.DataFrame) -> pd.Series[str]:
    """Where each gene is significant: few (in neither), left, right or both."""
    a, b = genes["p_adj_a"] < ALPHA, genes["p_adj_b"] < ALPHA
    group_of = (a.astype(int) + 2 * b.astype(int)).map(dict(enumerate(GROUPS)))
    return group_of


def named(genes: pd.DataFrame) -> pd.DataFrame:
    """Return the genes that move most, those significant on both sides first."""
    size = genes[["log2_fc_a", "log2_fc_b"]].abs().min(axis=1) + genes[["log2_fc_a", "log2_fc_b"]].abs().max(axis=1)
    order = genes.assign(both=groups(genes) == "both", size=size).sort_values(["both", "size"], ascending=False)
    return genes.loc[order.index[:NAMED]]


def scatter(match: Match, numbers: dict[str, int]) -> Element:
    """Draw the genes of a match; numbers: of gene symbols, by which a dot can be told from its place in the path."""
    genes, about = match.genes, match.about
    values = genes[["log2_fc_a", "log2_fc_b"]].to_numpy().ravel().tolist()
    scale = scale_over(values, LEFT, LEFT + SIZE, among=[-1, 1])
    up = Scale(scale.low, scale.high, TOP + SIZE, TOP)
    ends = ((about.dataset_a, about.dose_um_a), (about.dataset_b, about.dose_um_b))
    titles = [f"log2 fold change, {dataset}, {dose_um:g} {MU}" for dataset, dose_um in ends]
    parts: list[Element | None] = [
        *_legend(groups(genes)),
        *x_axis(scale, TOP, TOP + SIZE, titles[0]),
        *y_axis(up, LEFT, LEFT + SIZE, titles[1]),
        el("line", x1=LEFT, y1=TOP + SIZE, x2=LEFT + SIZE, y2=TOP, class_="guide"),
    ]
    for name, rows in genes.groupby(groups(genes), sort=False):
        path = dots(rows["log2_fc_a"].tolist(), rows["log2_fc_b"].tolist(), (scale, up), str(name))
        if path is not None:
            path.set("data-genes", " ".join(str(numbers[symbol]) for symbol in rows["gene_symbol"]))
        parts.append(path)
    parts += labels.beside(_places(named(genes), scale, up), LEFT, TOP, LEFT + SIZE, TOP + SIZE)
    return drawing(LEFT + SIZE + 14, TOP + SIZE + 40, f"{title(match)}: genes of both signatures", *parts)


def title(match: Match) -> str:
    """Name a match: compound, cells, time and doses."""
    about = match.about
    doses = f"{about.dose_um_a:g} and {about.dose_um_b:g} {MU}"
    return f"{about.compound_name}, {about.context_name}, {about.time_h:g} h, {doses}"


def _legend(group_of: pd.Series[str]) -> list[Element]:
    parts = [text(LEFT, 14, "Genes with adjusted p < 0.05 in:", "note")]
    counts = group_of.value_counts()
    for place, (name, words) in enumerate(GROUPS.items()):
        x, y = LEFT + 210 * (place % 2), 32 + 18 * (place // 2)
        style = f"stroke: var(--{COLOURS[name]}); fill: var(--{COLOURS[name]})"
        parts += [el("circle", cx=x + 5, cy=y - 4, r=4.0, style=style)]
        parts += [text(x + 16, y, f"{words} ({int(counts.get(name, 0)):,} shown)")]
    return parts


def cloud(x: list[float], y: list[float], label: str, axes: tuple[str, str]) -> Element:
    """Draw direction against rank agreement, with guides where chance lies."""
    size, left = 250.0, 52.0
    across = Scale(-1, 1, left, left + size)
    up = Scale(0, 1, 10 + size, 10)
    guides = [
        el("line", x1=left, x2=left + size, y1=up(0.5), y2=up(0.5), class_="guide"),
        el("line", x1=across(0), x2=across(0), y1=10, y2=10 + size, class_="guide"),
    ]
    frame = [*x_axis(across, 10, 10 + size, axes[0]), *y_axis(up, left, left + size, axes[1])]
    return drawing(left + size + 12, size + 52, label, *frame, *guides, dots(x, y, (across, up), ""))


def _places(genes: pd.DataFrame, across: Scale, up: Scale) -> list[tuple[float, float, str]]:
    rows = genes[["gene_symbol", "log2_fc_a", "log2_fc_b"]].itertuples(index=False, name=None)
    return [(across(a), up(b), str(symbol)) for symbol, a, b in rows]
