"""The page of an evaluation: figures with the numbers behind them, and in words what is shown and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from pbdb.common import output_files
from pbdb.common.page import charts
from pbdb.common.page.charts import Figure, Line, Mark, Whisker
from pbdb.common.page.html import grid, numbers, page, paragraph, section, tiles
from pbdb.common.page.svg import el
from pbdb.learn import results
from pbdb.learn.holdout import Evaluation
from pbdb.learn.models.methods import CEILING, CONTROL, MEAN
from pbdb.learn.results import ALL
from pbdb.matches.statistics import intervals

FEW_COMPOUNDS = 10
RELIABILITY_EDGES = (0.3, 0.5, 0.7, 0.9)
OURS = "low-rank"
MARK = {"score": Mark("mean over held-out conditions, 95 % interval over compounds", "score", size=5.2)}
TITLES = {
    "skill": ("Skill", "share of the variation around the context's mean that is predicted", 0.0),
    "delta_correlation": ("Correlation of differences", "correlation with the difference from the context's mean", 0.0),
    "direction": ("Direction", "share of significant genes predicted up or down as they are; half is guessing", 0.5),
    "win_rate": ("Win rate", "share of conditions predicted better than by the context's mean", 0.5),
}


def write(done: Evaluation, out: Path) -> dict[str, int]:
    """Write the page to a file; return how many figures and bytes it has.

    Raises:
        ConfigError: the page cannot be written there.
    """
    output_files.require_file(out)
    drawn = list(_figures(done))
    text = page("How well are unseen compounds predicted?", _body(done, drawn), [])
    out.write_text(text, encoding="utf-8", newline="\n")
    return {"figures": len(drawn), "bytes": len(text.encode())}


def _body(done: Evaluation, drawn: list[Figure]) -> list[Element]:
    facts = done.facts
    head = el(
        "header",
        el("div", el("h1", "How well are unseen compounds predicted?"), paragraph(_task(facts["task"]), class_="soft")),
        el("button", "Dark", id="theme", type="button", class_="controls"),
    )
    counts = {
        "data sets": len(facts["datasets"]),
        "held-out compounds": facts["n_compounds"],
        "held-out conditions": int(done.rows["condition_id"].nunique()),
        "splits": int(done.rows["repeat"].nunique()),
    }
    main = el(
        "main",
        tiles(counts),
        section("What is shown", el("ul", *(el("li", words) for words in shown(done)))),
        section("What is not shown", el("ul", *(el("li", words) for words in not_shown(done)))),
        section("Over all data sets", grid([f for f in drawn if f.key.startswith("all-")])),
        section("Data set by data set", grid([f for f in drawn if f.key.startswith("of-")])),
        *(_of_reliability(figure) for figure in drawn if figure.key == "rel"),
        section("All numbers", numbers(done.summary), paragraph(_METHOD)),
    )
    return [head, main, el("footer", el("p", "Made by pbdb; works without a network."))]


def _of_reliability(figure: Figure) -> Element:
    return section("Does reliability mean anything?", paragraph(_RELIABILITY), grid([figure]))


def _task(task: str) -> str:
    words = {
        "transfer": "Compounds are held out of one data set and known from others.",
        "compound": "Compounds are held out of every data set.",
        "scaffold": "Whole scaffolds are held out of every data set.",
        "op3": "Compounds of the OP3 benchmark are held out; parts are its cell types.",
    }
    return words.get(task, f"Held out as split '{task}' says.")


# --- words -----------------------------------------------------------------------------------------------------------


def shown(done: Evaluation) -> Iterator[str]:
    """What the numbers support, each with its interval."""
    skill = _of(done.summary, "skill", "score")
    if OURS in set(skill["learner"]):
        yield _gain(skill[skill["learner"] == OURS], OURS)
    for learner in _handed_in(done):
        yield _gain(skill[skill["learner"] == learner], _with_doubt(done, learner)) + _beyond(done, learner)
    best = done.facts["best_simple"]
    for learner in [OURS, "LPM", *_handed_in(done)]:
        against = _of(done.summary, "skill", f"delta_{best}")
        row = against[(against["learner"] == learner) & (against["evaluated_on"] == ALL)]
        if len(row):
            yield _compared(row.iloc[0], _with_doubt(done, learner), best)
    control = skill[(skill["learner"] == CONTROL) & (skill["evaluated_on"] == ALL)]
    if len(control):
        yield _control(control.iloc[0])


def _of(summary: pd.DataFrame, statistic: str, quantity: str) -> pd.DataFrame:
    return summary[(summary["statistic"] == statistic) & (summary["quantity"] == quantity)]


def _handed_in(done: Evaluation) -> list[str]:
    return [name for name in done.facts["coverage"] if name in set(done.summary["learner"])]


def _gain(rows: pd.DataFrame, learner: str) -> str:
    over, single = rows[rows["evaluated_on"] == ALL].iloc[0], rows[rows["evaluated_on"] != ALL]
    better = int((single["interval_low"] > 0).sum())
    return (
        f"{learner}: skill {_interval(over)} over {len(single)} data sets ({over['n_test_compounds']:,} compounds); its"
        f" whole interval is above 0 in {better} of them."
    )


def _with_doubt(done: Evaluation, learner: str) -> str:
    undeclared = learner in done.facts["undeclared"]
    return f"{learner} (whether it saw the held-out effects is not known)" if undeclared else learner


def _beyond(done: Evaluation, learner: str) -> str:
    """Say where more is predicted than noise leaves: what saw the answers copies their noise too."""
    both = done.rows[done.rows["learner"].isin([learner, CEILING])]
    if CEILING not in set(both["learner"]):
        return ""
    against = _of(results.summarise(both, ["skill"], CEILING), "skill", f"delta_{CEILING}")
    over = against[(against["interval_low"] > 0) & (against["evaluated_on"] != ALL)]["evaluated_on"]
    if over.empty:
        return ""
    return (
        f" It predicts more of {', '.join(over)} than is left beside the noise: either it saw the answers, or standard"
        " errors there are too large. Do not believe it before you know which."
    )


def _compared(row: pd.Series[Any], learner: str, best: str) -> str:
    verdict = "better" if row["interval_low"] > 0 else "worse" if row["interval_high"] < 0 else None
    end = f"it is {verdict}" if verdict else "the interval holds 0, so no difference is shown"
    return f"{learner} against the best method without a model ({best}): {_interval(row)} in skill; {end}."


def _control(row: pd.Series[Any]) -> str:
    sound = not row["interval_low"] > 0
    end = "as it must be where nothing leaks" if sound else "which it must not be: something leaks, trust nothing here"
    return f"The control, trained on shuffled compounds, has skill {_interval(row)}, {end}."


def _interval(row: pd.Series[Any]) -> str:
    return f"{row['estimate']:.3f} [{row['interval_low']:.3f}, {row['interval_high']:.3f}]"


def not_shown(done: Evaluation) -> Iterator[str]:
    """What a reader might believe and the numbers do not say."""
    facts = done.facts
    if facts["simulated"]:
        yield f"Anything of biology: {', '.join(facts['simulated'])} are simulated, effects planted and found again."
    if facts["task"] == "transfer":
        yield "New chemistry: every held-out compound was measured in another data set."
    yield "New cells, doses far from those measured, or combinations: none was held out."
    yield (
        "How much could be predicted at best: skill is of what the context's mean leaves, noise included, so its"
        f" ceiling is far below 1 and differs between data sets{_ceiling(done.summary)}; compare methods within a data"
        " set, not data sets."
    )
    if len(_of(done.summary, "direction", "score")):
        yield (
            "That direction is of the compound: the context's mean alone has much of it, for what all compounds do."
            " Judge a method by what it has beyond that."
        )
    few = _of(done.summary, "skill", "score").drop_duplicates("evaluated_on")
    few = few[(few["n_test_compounds"] < FEW_COMPOUNDS) & (few["evaluated_on"] != ALL)]
    if len(few):
        names = ", ".join(f"{row.evaluated_on} ({row.n_test_compounds})" for row in few.itertuples())
        yield f"Much about data sets with few held-out compounds, whose intervals are no evidence: {names}."
    for name in facts["undeclared"]:
        yield f"That '{name}' is fair: it does not say what it learned from; what it saw of held-out effects it copies."
    if int(done.rows["repeat"].nunique()) == 1:
        yield "How much another split would change: there was one only, and splits differ as much as methods do."


def _ceiling(summary: pd.DataFrame) -> str:
    """The ceiling over all data sets, where effects state their noise."""
    rows = _of(summary, "skill", "score").query("evaluated_on == @ALL and learner == @CEILING")
    if rows.empty or not np.isfinite(rows["estimate"].iloc[0]):
        return ""
    number = max(0.0, float(rows["estimate"].iloc[0]))
    return (
        f" ({number:.2f} over all, if standard errors are right, which count vehicle noise that all conditions share)"
    )


# --- figures ---------------------------------------------------------------------------------------------------------


def _figures(done: Evaluation) -> Iterator[Figure]:
    for statistic in ("skill", "delta_correlation"):
        yield _figure(done, statistic, "score", ALL, f"all-{statistic}")
    if len(_of(done.summary, "direction", "score")):
        yield _figure(done, "direction", "score", ALL, "all-direction")
    yield _figure(done, "skill", "win_rate", ALL, "all-win_rate")
    for place, dataset in enumerate(sorted(done.rows["dataset"].unique())):
        for statistic in ("skill", "delta_correlation"):
            yield _figure(done, statistic, "score", dataset, f"of-{place}-{statistic}")
    bins = reliability_bins(done.rows)
    if len(bins):
        yield _reliability(bins)


def _figure(done: Evaluation, statistic: str, quantity: str, dataset: str, key: str) -> Figure:
    title, axis, guide = TITLES[quantity if quantity == "win_rate" else statistic]
    rows = _of(done.summary, statistic, quantity)
    hidden = ["zero", *([CEILING] if quantity == "win_rate" or statistic == "direction" else [])]
    rows = rows[(rows["evaluated_on"] == dataset) & ~rows["learner"].isin(hidden)]
    lines = [_line(row, done.facts["undeclared"]) for row in rows.itertuples()]
    n = int(rows["n_test_compounds"].max()) if len(rows) else 0
    where = "mean over data sets" if dataset == ALL else dataset
    caption = f"{where}, {n:,} held-out compounds. The dashed line is {MEAN}."
    caption += " Predicting no effect at all is worse and stands in the table." if quantity == "score" else ""
    table = _of(done.summary, statistic, quantity).query("evaluated_on == @dataset")
    return Figure(key, f"{title}: {where}", caption, charts.whiskers(lines, MARK, title, axis, guide), table)


def _line(row: Any, undeclared: list[str]) -> Line:
    name = f"{row.learner} (training not declared)" if row.learner in undeclared else row.learner
    return Line(name, [Whisker("score", row.estimate, row.interval_low, row.interval_high)])


def reliability_bins(rows: pd.DataFrame) -> pd.DataFrame:
    """Skill of the low-rank model's predictions by what it said of the compound: low, high, n, estimate, interval."""
    own = rows[(rows["learner"] == OURS) & rows["reliability"].notna()]
    out = []
    for low, high in zip((0.0, *RELIABILITY_EDGES), (*RELIABILITY_EDGES, 1.001), strict=True):
        part = own[(own["reliability"] >= low) & (own["reliability"] < high)]
        if len(part):
            found = intervals.clustered(
                part["skill"].to_numpy(), part["compound"].to_numpy(), intervals.seed_of("reliability", low)
            )
            n = {"n_compounds": part["compound"].nunique(), "n_conditions": len(part)}
            numbers_ = {"estimate": found.mean, "interval_low": found.low, "interval_high": found.high}
            out.append({"from": low, "to": min(high, 1.0)} | n | numbers_)
    return pd.DataFrame(out)


def _reliability(bins: pd.DataFrame) -> Figure:
    lines = [
        Line(f"{row[1]:g} to {row[2]:g} ({row[3]:,} compounds)", [Whisker("score", row[5], row[6], row[7])])
        for row in bins.itertuples()
    ]
    title = "Skill by stated reliability"
    picture = charts.whiskers(lines, MARK, title, "skill of the low-rank model", 0.0)
    return Figure("rel", title, "Conditions by what the model said of their compound before.", picture, bins)


def is_sound(done: Evaluation) -> bool:
    """Whether the control does what it must: no skill beyond chance."""
    control = _of(done.summary, "skill", "score")
    rows = control[(control["learner"] == CONTROL) & (control["evaluated_on"] == ALL)]
    return not bool(np.any(rows["interval_low"] > 0))


_RELIABILITY = (
    "The low-rank model says of each compound how much its data tell (0 to 1). If that is worth anything, predictions"
    " of reliable compounds are better; a compound new to every data set is known by its structure at most."
)
_METHOD = (
    "Every method sees training effects only, as differences from the mean of their data set and context; one slope for"
    " each data set is fitted on validation compounds, so that a useless method predicts the mean. Skill is 1 less the"
    " squared error over that of the mean. Intervals are of compounds drawn anew (BCa, 2,000 times), the number of"
    " repeats does not narrow them; differences are paired by condition, and positive is better."
)
