"""pbdb effects: further fits of loaded datasets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json
from pbdb.cli.de import Span

if TYPE_CHECKING:
    from pbdb.common.settings import Settings
    from pbdb.effects.options import Batching, FitOptions, Mode


@click.group()
def effects() -> None:
    """Store further fits of a loaded dataset beside its default ones."""


@examples(
    "pbdb effects run driad --method deseq2",
    "pbdb effects run driad --mode replicate",
    "pbdb effects run drugseq --batching published --filter limma",
    "pbdb effects run op3 --min-cells 50",
)
@effects.command()
@click.argument("dataset")
@click.option("--method", type=click.Choice(["voom", "trend", "deseq2"]), help="Method; by readout unless given.")
@click.option(
    "--mode",
    type=click.Choice(["pooled", "replicate"]),
    default="pooled",
    show_default=True,
    help="One effect per condition, or one per treated well.",
)
@click.option("--span", type=Span(), default="adaptive", show_default=True, help="Span of voom's trend.")
@click.option(
    "--filter",
    "rule",
    type=click.Choice(["floor", "limma", "none"]),
    default="floor",
    show_default=True,
    help="Expression filter of counts.",
)
@click.option(
    "--p-values",
    type=click.Choice(["counts", "limma"]),
    default="counts",
    show_default=True,
    help="Of counts, which hold for single wells, limma's beside them; or limma's only. Intensities have limma's.",
)
@click.option(
    "--batching",
    type=click.Choice(["none", "published"]),
    default="none",
    show_default=True,
    help="Cut large contexts as the published runs did; implies --filter limma and --p-values limma.",
)
@click.option(
    "--min-cells",
    type=click.IntRange(0),
    help="Pseudobulks of fewer cells stay out; as in the default fit unless given.",
)
@click.option("--robust/--no-robust", default=True, show_default=True, help="Moderation that tolerates outlying genes.")
@click.option("--compound", help="Store the effects of this compound only.")
@click.option("--cluster", metavar="ADDRESS", help="Fit effects on a Dask scheduler (tcp://...).")
@json_option
def run(dataset: str, compound: str | None, cluster: str | None, as_json: bool, **chosen: Any) -> None:
    """Fit the samples of DATASET anew; fits with the same choices are replaced, the default ones stay.

    The views show default fits; these are in `effect`, `fit` and `replicate_effect`, told apart by method and mode.
    """
    user_settings = settings()
    choices = _choices(user_settings, dataset, **chosen)
    from pbdb.loading import further_fits

    with TerminalReporter(quiet=as_json) as reporter:
        outcome = further_fits.run_fits(
            user_settings, dataset, choices, compound=compound, cluster=cluster, reporter=reporter
        )
    if as_json:
        show_json(asdict(outcome))
    else:
        counts = ", ".join(f"{n:,} {status}" for status, n in outcome.effects.items())
        say(f"{len(outcome.fits)} fits of '{dataset}' are stored: {counts}.")


def _choices(
    user_settings: Settings,
    dataset: str,
    *,
    method: Any,
    mode: Mode,
    rule: Any,
    batching: Batching,
    min_cells: int | None,
    **of_engine: Any,
) -> FitOptions:
    from pbdb.query import database

    readout = database.readout(user_settings, dataset)  # first: a wrong name needs no import of an engine
    from pbdb.effects.options import FitOptions, Options

    options = Options(
        readout=readout,
        method=None if method == "deseq2" else method,
        filter=rule,
        threads=user_settings.workers,
        **of_engine,
    )
    return FitOptions(
        options,
        mode=mode,
        min_cells=database.min_cells(user_settings, dataset) if min_cells is None else min_cells,
        is_default=False,
        batching=batching,
        deseq2=method == "deseq2",
    )
