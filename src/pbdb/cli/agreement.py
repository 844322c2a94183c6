"""pbdb agreement: how far matched conditions agree, beside what chance and a common response would give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table
from pbdb.cli.match import level_option, tolerance_option
from pbdb.database.choices import LEVELS


@click.group()
def agreement() -> None:
    """Measure how far matched conditions agree, beside their baselines."""


@examples("pbdb agreement run", "pbdb agreement run --window 3 --peers 256", "pbdb agreement run --level pubchem_cid")
@agreement.command()
@click.option("--window", type=float, default=10.0, show_default=True, help="Fold of dose up to which matches count.")
@level_option
@tolerance_option
@click.option("--peers", type=int, default=512, show_default=True, help="Peers at most of each pool; 0: all.")
@click.option(
    "--universe",
    type=click.Choice(["pairwise", "context"]),
    default="pairwise",
    show_default=True,
    help="Genes: those both fits test, or those every fit of the context tests.",
)
@click.option(
    "--population-z",
    type=click.Choice(["none", "context", "dataset"]),
    default="none",
    show_default=True,
    help="Ranks and correlations of z scores per gene, over the data set in the context, or over all of it.",
)
@click.option(
    "--fit-rule",
    type=click.Choice(["default", "published", "limma", "deseq2"]),
    default="default",
    show_default=True,
    help="Which fits the effects come from; others than the default ones are made by `pbdb effects run`.",
)
@click.option(
    "--panel",
    type=click.Choice(["matched", "published"]),
    default="matched",
    show_default=True,
    help="Candidates of retrieval: all conditions with a partner, or not those that only one source's data sets share.",
)
@json_option
def run(level: str, time_tolerance: float, as_json: bool, **chosen: Any) -> None:
    """Compute the agreement of all matches of a rule within a window, and summaries with intervals.

    What an earlier run said of this rule is replaced. Read the results in the views agreement and agreement_summary.
    """
    from pbdb.matches.agreement import run as agreement_run
    from pbdb.matches.match_table import Rule
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    choices = agreement_run.Choices(rule=Rule(level, time_tolerance), **chosen)
    with TerminalReporter(quiet=as_json) as reporter:
        done = agreement_run.run(user_settings, choices, reporter.progress)
        reporter.stage("agreement", f"{done['matches']:,} matches, {done['summaries']:,} summaries")
    if as_json:
        show_json(done)
    else:
        say("Read them with `pbdb agreement show`, or in the views agreement and agreement_summary.")


@examples("pbdb agreement replicates", "pbdb agreement replicates driad")
@agreement.command()
@click.argument("datasets", nargs=-1)
@click.option("--peers", type=int, default=512, show_default=True, help="Peers at most of each pool; 0: all.")
@json_option
def replicates(datasets: tuple[str, ...], peers: int, as_json: bool) -> None:
    """Compute how far single wells of a condition agree, to hold agreement between data sets against.

    DATASETS need effects of single wells (`pbdb effects run DATASET --mode replicate`); all that have them by default.
    """
    from pbdb.matches.agreement import replicates as agreement_replicates
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    done = agreement_replicates.run(user_settings, datasets, peers)
    if as_json:
        show_json(done)
    else:
        show_table(
            [[name, *counts.values()] for name, counts in done.items()], ["dataset", "conditions", "pairs", "summaries"]
        )


@examples(
    "pbdb agreement show",
    "pbdb agreement show --metric deg_spearman --json",
    "pbdb agreement show --metric direction --quantity score --dataset driad --dataset drugseq",
)
@agreement.command()
@click.option("--metric", default="spearman_log2_fc", show_default=True, help="Statistic to show; see above.")
@click.option("--quantity", help="Only this quantity; by default the score and its baselines.")
@click.option("--level", type=click.Choice(LEVELS), help="Only agreement of matches at this level; by default of all.")
@click.option("--dataset", "datasets", multiple=True, help="Only pairs with this data set; twice: only that pair.")
@json_option
def show(metric: str, as_json: bool, **chosen: Any) -> None:
    """Show a statistic of each pair of data sets with its baselines and 95 % intervals.

    A data set with itself stands for its replicates.

    \b
    Metrics (log2_fc: fold changes; t: moderated t; degs: significant genes)
      spearman_log2_fc, pearson_log2_fc, cosine_log2_fc, and with _t: over all shared genes
      deg_spearman (_a, _b)       correlation over the degs of either side, or of one
      direction (_a, _b)          share of the degs of a side that go the same way
      direction_both              the same over the degs of both sides
      jaccard                     degs of both over degs of either
      overlap_50, _100, _200      share of the strongest degs that both have
      signed_overlap_50           the same of the most positive and most negative t
      retrieval_cosine, _spearman, _euclidean (and with _in_window, _any_dose)
                                  how high the same compound ranks among all others

    \b
    Quantities
      score                       the statistic between matched conditions
      source_centroid             against the mean of other compounds of the same data set
      target_centroid             against the mean of other compounds of the other data set
      source_peer_mean            against single other compounds of the same data set: mean
      target_peer_mean            against single other compounds of the other data set: mean
      delta_...                   the score less that baseline
      ..._peer_below              fraction of these peers below the score
      ..._peer_percentile         the same with the score counted among them
      normalised_rank, recall_1   of retrieval; ..._floor: what chance gives
    """  # noqa: D301
    from pbdb.query import agreement as agreement_table

    columns, rows = agreement_table.read(settings(), metric, **chosen)
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(rows, columns)


@examples("pbdb agreement report --out report.html", "pbdb agreement report --out report.html --svg figures")
@agreement.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File of the page; replaced where it is there."
)
@click.option("--svg", type=click.Path(path_type=Path), help="Folder for the figures as SVG files; made where missing.")
@click.option("--matches", type=int, default=60, show_default=True, help="Single matches to show, at most.")
@level_option
@tolerance_option
@json_option
def report(out: Path, svg: Path | None, matches: int, level: str, time_tolerance: float, as_json: bool) -> None:
    """Write one page on what `agreement run` found: figures with the numbers behind them, and single matches.

    The page is one file that needs no network; it has the colours of the reader's screen, light or dark.
    """
    from pbdb.matches.match_table import Rule
    from pbdb.matches.report import writing

    done = writing.write(settings(), out, Rule(level, time_tolerance), svg=svg, n_matches=matches)
    if as_json:
        show_json(done)
    else:
        say(
            f"'{out}' has {done['figures']} figures, {done['matches']} of them of single matches: open it in a browser."
        )
