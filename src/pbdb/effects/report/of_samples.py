"""Figures of wells: plates, counts, components, replicates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pbdb.common.arrays import Floats, Ints, Mask
from pbdb.common.page import plots
from pbdb.common.page.charts import Figure
from pbdb.common.page.svg import tick_text
from pbdb.effects.report import checks, plate_map
from pbdb.effects.report.screen import Screen
from pbdb.effects.report.verdicts import Verdict

MOST_MAPS, MOST_MAP_WELLS = 8, 4000
MOST_STRIPS, STRIP_WELLS = 16, 384
MOST_DOTS = 1500
NAMED_GROUPS = 7
MOST_PAIRS = 20_000


def level(screen: Screen) -> tuple[pd.Series[float], str]:
    """One number a well, and its words: log10 of its counts, or its mean intensity."""
    if screen.readout == "counts":
        total = screen.wells["total"].to_numpy(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            log10 = np.log10(total)
        return pd.Series(np.where(total > 0, log10, np.nan), screen.wells.index), "log10 counts"
    values = np.full(len(screen.wells), np.nan)
    if screen.values is not None:
        rows = np.flatnonzero(np.isfinite(screen.values).any(axis=1))
        values[rows] = np.nanmean(screen.values[rows], axis=1)
    return pd.Series(values, screen.wells.index), "mean log2 intensity"


def shown_plates(screen: Screen, verdicts: list[Verdict], most: int, most_wells: int) -> list[str]:
    """Plates drawn: those a test points at first, then in order, as many as there is room for."""
    marked = screen.wells.loc[sorted({at for v in verdicts for at in v.marked}), "plate"]
    sizes = screen.wells.groupby("plate", sort=False).size()
    order = [*marked.value_counts().index, *sizes.index]
    picked: list[str] = []
    n_wells = 0
    for plate in dict.fromkeys(order):
        if len(picked) == most or (picked and n_wells + sizes[plate] > most_wells):
            break
        picked.append(plate)
        n_wells += int(sizes[plate])
    return [plate for plate in sizes.index if plate in set(picked)]


def maps(screen: Screen, verdicts: list[Verdict]) -> Iterator[Figure]:
    """Two maps of each plate shown: its counts, and what became of its wells."""
    values, words = level(screen)
    marked = {at for v in verdicts for at in v.marked}
    kind = np.where(screen.wells["is_vehicle"], "vehicle", "treated").astype(object)
    kind[(screen.wells["left_out"] != "").to_numpy()] = "out"
    kind[sorted(marked)] = "worry"
    wells = plate_map.placed(screen.wells.assign(level=values, kind=kind))
    for place, plate in enumerate(shown_plates(screen, verdicts, MOST_MAPS, MOST_MAP_WELLS), start=1):
        rows = wells[wells["plate"] == plate]
        if rows["place"].duplicated().any() or rows.empty:
            continue
        known = rows[np.isfinite(rows["level"])]
        if len(known):
            yield _map_of_level(place, str(plate), known, words)
        yield _map_of_kinds(place, str(plate), rows)


def _map_of_level(place: int, plate: str, rows: pd.DataFrame, words: str) -> Figure:
    values = rows["level"]
    is_counts = words == "log10 counts"
    low, high = (f"{10**v:,.0f}" if is_counts else f"{v:.2f}" for v in (values.min(), values.max()))
    what = "Counts" if is_counts else "Mean intensity"
    title = f"{what} on plate {plate}: {low} to {high}"
    caption = "A cell is a well; the stronger, the more (on a logarithmic scale)."
    table = plate_map.as_table(rows.assign(said=(10**values).round().astype("Int64") if is_counts else values), "said")
    label = f"Map of plate {plate}: {words} of {len(rows)} wells, {low} to {high}"
    picture = plate_map.by_number(rows, "level", label, (low, high))
    return Figure(f"plate-{place}-counts", title, caption, picture, table)


def _map_of_kinds(place: int, plate: str, rows: pd.DataFrame) -> Figure:
    n = rows["kind"].value_counts()
    said = [f"{int(n[name]):,} {words}" for name, words in plate_map.MARKS.items() if name in n]
    title = f"Wells of plate {plate}: {', '.join(said)}"
    reasons = rows.loc[rows["left_out"] != "", "left_out"].value_counts()
    caption = "".join(f"{reason}: {k}. " for reason, k in reasons.items()) or "No well is left out."
    kinds = rows["left_out"].where(rows["left_out"] != "", rows["kind"])
    label = f"Map of plate {plate}: {', '.join(said)}"
    picture = plate_map.by_kind(rows, label)
    return Figure(f"plate-{place}-wells", title, caption, picture, plate_map.as_table(rows.assign(said=kinds), "said"))


def by_well(screen: Screen, verdicts: list[Verdict]) -> Figure | None:
    """Counts of every well of the plates shown, a strip a plate."""
    values, words = level(screen)
    known = screen.wells.assign(level=values)[np.isfinite(values)]
    if known.empty:
        return None
    plates = shown_plates(screen, verdicts, MOST_STRIPS, 1 << 62)
    rows = []
    for plate in plates:
        wells = known[known["plate"] == plate]
        if len(wells):
            some = wells.iloc[:: -(-len(wells) // STRIP_WELLS)]
            kinds = np.select([some["left_out"] != "", some["is_vehicle"]], ["left", "both"], "few")
            groups = [(name, some.loc[kinds == name, "level"].tolist()) for name in ("few", "both", "left")]
            rows.append(plots.Strip(f"{plate} ({len(wells):,} wells)", groups, float(wells["level"].median())))
    table = known.groupby("plate", sort=False)["level"].describe()[["count", "min", "25%", "50%", "75%", "max"]]
    table = table.reset_index().astype({"count": int})
    middle = table["50%"]
    title = _title_of_levels(middle, words)
    caption = f"A dot is a well; the bar is the median of the plate.{_of_plates(len(rows), len(table))}"
    kinds_words = [("treated", "few"), ("vehicle", "both")]
    if (known["left_out"] != "").any():
        kinds_words.append(("left out of the fit", "left"))
    return Figure("wells", title, caption, plots.strips(rows, kinds_words, title, words), table)


def _title_of_levels(middle: pd.Series[float], words: str) -> str:
    if words != "log10 counts" and len(middle) == 1:
        return f"The median well has a mean log2 intensity of {middle.iloc[0]:.2f}"
    if words != "log10 counts":
        return f"Plates have a median of {middle.min():.2f} to {middle.max():.2f} log2 units"
    if len(middle) == 1:
        return f"The median well has {10 ** middle.iloc[0]:,.0f} counts"
    fold = 10 ** (middle.max() - middle.min())
    return f"The median well has {10 ** middle.median():,.0f} counts; plates differ up to {fold:.1f}-fold"


def _of_plates(shown: int, of: int) -> str:
    return f" {shown} of {of:,} plates are drawn; the table has all." if shown < of else ""


def components(screen: Screen, verdicts: list[Verdict]) -> Iterator[Figure]:
    """Wells on their first two components: by plate, by vehicle, by compound."""
    wells = screen.compared
    if wells.values is None:
        return
    poor = {at for v in verdicts if v.key == "few_counts" for at in v.marked}
    sound = ~np.isin(wells.rows, sorted(poor))
    if sound.sum() < 4 or wells.values.shape[1] < 2:
        return
    axes_of_wells = checks.components(checks.centred(wells.values, wells.stratum)[sound], 2)
    rows = np.flatnonzero(sound)
    some = np.arange(len(rows))[:: -(-len(rows) // MOST_DOTS)]
    axes = [f"component {at + 1} ({share:.0%} of the variance)" for at, share in enumerate(axes_of_wells.share)]
    frame = wells.frame.iloc[rows[some]].reset_index(drop=True)
    x, y = (axes_of_wells.scores[some, at].astype(np.float64) for at in (0, 1))
    table = frame[["plate", "well", "compound", "dose_um", "is_vehicle"]].assign(component_1=x, component_2=y)
    caption = _components_caption(len(some), len(rows), len(poor), wells.values.shape[1])
    for key, title, groups, more in _colourings(frame, x, y, verdicts):
        picture = plots.scatter(groups, title, (axes[0], axes[1]))
        yield Figure(f"pca-{key}", title, caption + more, picture, table if key == "plate" else _middles(groups))


def _components_caption(n_drawn: int, n: int, n_poor: int, n_genes: int) -> str:
    words = [f"Principal components of the {n_genes} most variable genes, a mean taken off for each fit and time."]
    if n_poor:
        words.append(f"Without the {n_poor} wells of far too few counts.")
    if n_drawn < n:
        words.append(f"{n_drawn:,} of {n:,} wells are drawn.")
    return " ".join(words)


def _colourings(
    frame: pd.DataFrame, x: Floats, y: Floats, verdicts: list[Verdict]
) -> Iterator[tuple[str, str, list[plots.Group], str]]:
    """Key, title, groups and more words of each figure."""
    names = frame["plate"].astype(str)
    groups, more = _groups(names, _first(names, x, y), x, y, "other plates")
    yield "plate", _plate_title(verdicts, names.nunique()), groups, more
    is_vehicle = frame["is_vehicle"].to_numpy(bool)
    title = "Samples by vehicle"
    if is_vehicle.sum() > 2:
        share = _spread(x[is_vehicle], y[is_vehicle]) / max(_spread(x, y), 1e-12)
        title = f"Vehicle wells spread over {share:.0%} of the variance of all wells"
    treated = _group(~is_vehicle, x, y, "treated", "rest")
    yield "vehicle", title, [treated, _group(is_vehicle, x, y, "vehicle", "cat-1")], ""
    names = frame["compound"].astype(str).where(~frame["is_vehicle"], "vehicle")
    first = [name for name in _first(names, x, y) if name != "vehicle"]
    groups, more = _groups(names, first, x, y, "all others")
    yield "compound", f"Farthest from the middle: {', '.join(first[:3])}", groups, more


def _plate_title(verdicts: list[Verdict], n_plates: int) -> str:
    verdict = next((v for v in verdicts if v.key == "plate_effects"), None)
    if n_plates == 1:
        return "Samples of the one plate"
    if verdict is None or not verdict.statistic:
        return "Samples by plate"
    share = verdict.statistic.rsplit(" ", 1)[1]
    return f"Plates explain {share} of the variance between vehicle wells"


def _spread(x: Floats, y: Floats) -> float:
    return float(x.var() + y.var()) if len(x) else 0.0


def _first(names: pd.Series[str], x: Floats, y: Floats) -> list[str]:
    """Names whose middle lies farthest out, of those with two wells or more where there are such."""
    middles = pd.DataFrame({"x": x, "y": y}).groupby(names.to_numpy()).agg(["mean", "size"])
    several = middles[middles["x", "size"] >= 2]
    used = several if len(several) else middles
    far = used["x", "mean"] ** 2 + used["y", "mean"] ** 2
    return [str(name) for name in far.sort_values(ascending=False).index[:NAMED_GROUPS]]


def _groups(
    names: pd.Series[str], first: list[str], x: Floats, y: Floats, others: str
) -> tuple[list[plots.Group], str]:
    rest = ~names.isin(first).to_numpy()
    groups = [_group(rest, x, y, others, "rest")]
    named = names.nunique() > 1
    groups += [_group((names == name).to_numpy(), x, y, name, f"cat-{at}", named) for at, name in enumerate(first, 1)]
    return groups, f" The {len(first)} groups farthest from the middle have colours." if rest.any() else ""


def _group(mask: Mask, x: Floats, y: Floats, words: str, class_: str, named: bool = False) -> plots.Group:
    return plots.Group(words, class_, x[mask].tolist(), y[mask].tolist(), named)


def _middles(groups: list[plots.Group]) -> pd.DataFrame:
    rows = [(g.words, len(g.x), float(np.mean(g.x)), float(np.mean(g.y))) for g in groups if g.x]
    return pd.DataFrame(rows, columns=["group", "wells", "mean_component_1", "mean_component_2"])


def replicates(screen: Screen) -> Figure | None:
    """Correlations of replicates beside those of wells of different conditions."""
    wells = screen.compared
    if wells.values is None or wells.is_vehicle.all():
        return None
    treated = ~wells.is_vehicle
    free = checks.centred(wells.values, wells.block)[treated]
    stratum: Ints = wells.stratum[treated]
    in_largest = stratum == np.bincount(stratum).argmax() if len(np.unique(stratum)) > 1 else np.ones(len(free), bool)
    same, other = checks.correlations(free[in_largest], wells.condition[treated][in_largest], MOST_PAIRS)
    if len(same) < 3 or len(other) < 3:
        return None
    edges = np.linspace(-1, 1, 41)
    heights = [np.histogram(r, edges)[0] / len(r) for r in (same, other)]
    middle = [tick_text(round(float(np.median(r)), 2)) for r in (same, other)]
    title = f"Replicates correlate {middle[0]} in the median, wells of different conditions {middle[1]}"
    caption = (
        f"Pearson correlation over genes of {len(same):,} pairs of treated wells, the mean of the plate taken off."
        " Where a compound does nothing its replicates have only noise in common: 0 is no fault."
    )
    if not in_largest.all():
        caption += " Of the fit and time with most wells."
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "replicates": heights[0], "different": heights[1]})
    series = [("replicates", "area", heights[0].tolist()), ("different conditions", "outline", heights[1].tolist())]
    picture = plots.histogram(series, edges.tolist(), title, ("correlation of two wells", "share of pairs"))
    return Figure("replicates", title, caption, picture, table)
