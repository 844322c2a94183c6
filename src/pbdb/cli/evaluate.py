"""pbdb evaluate: how well methods predict compounds they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table


@click.group()
def evaluate() -> None:
    """Evaluate methods on held-out compounds, beside baselines that need no model."""


def _outputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of where results go."""
    options = (
        click.option("--snapshot", type=click.Path(path_type=Path, exists=True), help="A snapshot, not the database."),
        click.option("--embedding", "embeddings", multiple=True, metavar="NAME=PATH", help=_EMBEDDING),
        click.option("--out", type=click.Path(path_type=Path), help="Parquet file for all numbers."),
        click.option("--page", type=click.Path(path_type=Path), help="File of a page: figures, and what they show."),
        click.option("--name", help="Name of the evaluation in the database; made of its choices unless given."),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same numbers."),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


_EMBEDDING = "Vectors too: a model's folder, or Parquet with parent_inchikey or inchikey, and vector; again."


@examples(
    "pbdb evaluate holdout --repeats 5 --page page.html",
    "pbdb evaluate holdout --task scaffold --snapshot 2026.1 --out numbers.parquet",
    "pbdb evaluate holdout --split held --embedding mine=vectors.parquet --predictions mine=effects.parquet",
)
@evaluate.command()
@click.option(
    "--task",
    type=click.Choice(["transfer", "compound", "scaffold"]),
    default="transfer",
    show_default=True,
    help="transfer: compounds new to a data set, known in others; compound, scaffold: new everywhere.",
)
@click.option("--split", help="A stored split instead of splits drawn for the task.")
@click.option("--repeats", type=int, default=5, show_default=True, help="Splits to draw.")
@click.option("--dataset", "datasets", multiple=True, help="Use this data set only; may be given again.")
@click.option("--without-dataset", "without", multiple=True, help="Leave this data set out; may be given again.")
@click.option("--predictions", multiple=True, metavar="NAME=PATH", help="Parquet: condition_id, gene_id, value; again.")
@click.option("--epochs", type=int, default=30, show_default=True, help="Epochs of the published network.")
@_outputs
def holdout(
    snapshot: Path | None, out: Path | None, page: Path | None, name: str | None, as_json: bool, **chosen: Any
) -> None:
    """Hold compounds out and predict their effects with every method.

    Baselines always run: no effect, the context's mean, the same compound in other data sets, nearest structures, ridge
    on structures, averages with PCA, both models, and a control on shuffled compounds that must fail. A split on
    which a held-out compound also trains is refused, and so is a model that saw it.
    """
    from pbdb.query import names

    found = settings()
    if snapshot is None:
        names.require(found, datasets=[*chosen["datasets"], *chosen["without"]], splits=chosen["split"])
    from pbdb.learn import holdout as evaluation

    with TerminalReporter(quiet=as_json) as reporter:
        done = evaluation.run(found, evaluation.Choices(**chosen), snapshot, reporter)
    _finish(found, done, snapshot, out, page, name, as_json=as_json)


@examples(
    "pbdb evaluate op3",
    "pbdb evaluate op3 --split repeat --repeats 20 --embedding mine=vectors.parquet --page op3.html",
    "pbdb evaluate op3 --de-train de_train.h5ad --de-test de_test.h5ad --snapshot 2026.1",
)
@evaluate.command()
@click.option(
    "--split",
    type=click.Choice(["published", "repeat"]),
    default="published",
    show_default=True,
    help="published: its 35 compounds; repeat: a quarter of the compounds drawn anew.",
)
@click.option("--repeats", type=int, default=20, show_default=True, help="Splits to draw, of --split repeat.")
@click.option("--de-train", type=click.Path(path_type=Path, exists=True), help="The benchmark's de_train.h5ad.")
@click.option("--de-test", type=click.Path(path_type=Path, exists=True), help="The benchmark's de_test.h5ad.")
@_outputs
def op3(
    snapshot: Path | None,
    out: Path | None,
    page: Path | None,
    name: str | None,
    de_train: Path | None,
    de_test: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Predict unseen compounds of the OP3 benchmark from vectors learned on all other data sets.

    Target and metrics are the benchmark's; every embedding is read by the same ridge regression. Vectors of the
    low-rank model and of plain averages are learned from the other data sets on the way; a model that saw OP3 is
    refused.
    """
    from pbdb.learn import op3 as evaluation

    files = tuple(path for path in (de_train, de_test) if path is not None)
    found = settings()
    with TerminalReporter(quiet=as_json) as reporter:
        done = evaluation.run(found, evaluation.Choices(files=files, **chosen), snapshot, reporter)
    _finish(found, done, snapshot, out, page, name, as_json=as_json)


def _finish(
    found: Any,
    done: Any,
    snapshot: Path | None,
    out: Path | None,
    page: Path | None,
    name: str | None,
    *,
    as_json: bool,
) -> None:
    """Write what was asked for, store the numbers where there is a database, and show them."""
    from pbdb.learn import page as report
    from pbdb.learn import results, stored_evaluations

    if out is not None:
        done.summary.to_parquet(out)
    if page is not None:
        report.write(done, page)
    stored = None if snapshot else stored_evaluations.store(found, done, name)
    if as_json:
        show_json({"evaluation": stored, **done.facts, "summary": done.summary.to_dict("records")})
        return
    statistic = "mrrmse" if "mrrmse" in set(done.summary["statistic"]) else "skill"
    table = results.headline(done.summary, statistic)
    say(f"\n{statistic} of each method by data set or cell type (all: mean over them):")
    show_table(([name, *row] for name, row in zip(table.index, table.to_numpy().tolist(), strict=True)),
               ["method", *table.columns])  # fmt: skip
    for line in report.shown(done):
        say(f"- {line}")
    if stored:
        say(f"All numbers with their intervals: SELECT * FROM evaluation WHERE evaluation = '{stored}'")
