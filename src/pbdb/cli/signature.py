"""pbdb signature: find effects like another, opposite to it, or that move given genes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table

TOO_WIDE = ("inchikey", "parent_inchikey")  # for a terminal; JSON has them


@click.group()
def signature() -> None:
    """Search effects by their signature over the landmark genes."""


@examples(
    "pbdb signature search --like bortezomib --dose 10 --context A549",
    "pbdb signature search --like 1234567890",
    "pbdb signature search --like 1234567890 --opposite --dataset l1000_phase1",
    "pbdb signature search --up HMOX1,HSPA8 --down MYC,CCND1 --context A375",
)
@signature.command()
@click.option("--like", help="An effect_id, or a compound (name or InChIKey; its effect that moves most genes).")
@click.option("--dose", "dose_um", type=float, help="With a compound: its effect at this dose, in uM.")
@click.option("--up", default="", help="Genes that go up: symbols or Ensembl ids, with commas between them.")
@click.option("--down", default="", help="Genes that go down.")
@click.option("--opposite", is_flag=True, help="Find the most opposite instead of the most similar.")
@click.option("--dataset", "datasets", multiple=True, help="Search in this data set only; may be given again.")
@click.option("--context", "contexts", multiple=True, help="Search in this context (id or name) only; again as well.")
@click.option("-n", type=int, default=20, show_default=True, help="Number of results.")
@click.option("--exact", is_flag=True, help="Compare with every effect instead of using the index.")
@json_option
def search(
    like: str | None, dose_um: float | None, up: str, down: str, opposite: bool, as_json: bool, **chosen: Any
) -> None:
    """Find the effects with the most similar signature: cosine of moderated t over the 978 landmarks.

    --dataset and --context limit what is searched, and of which effects of a compound one is taken.
    """
    from pbdb.query import database, signature_search

    if like is not None and (up or down):
        raise click.UsageError("Give --like EFFECT, or genes with --up and --down, not both.")
    if like is None and not up and not down:
        raise click.UsageError("Give --like EFFECT, or genes with --up and --down.")
    user_settings = settings()
    database.ready(user_settings)
    where = signature_search.Where(**chosen)
    if like is not None:
        effect_id = _effect_id(like, dose_um, where)
        rows = signature_search.like_effect(user_settings, effect_id, where, opposite=opposite)
    else:
        rows, left_out = signature_search.like_genes(user_settings, _names(up), _names(down), where, opposite=opposite)
        if left_out:
            say(f"Not among the landmarks, left out: {', '.join(left_out)}")
        genes = [name for name in (*_names(up), *_names(down)) if name not in left_out]
        _tell_untested(signature_search.untested(user_settings, rows, genes), len(rows))
    _tell_not_searched(signature_search.not_searched(user_settings, where))
    if as_json:
        show_json(rows)
    elif rows:
        shown = [name for name in rows[0] if name not in TOO_WIDE]
        show_table([[row[name] for name in shown] for row in rows], shown)
    else:
        say("No effect with landmarks fits the selection.")


def _tell_untested(untested: Any, n_hits: int) -> None:
    if untested.n_hits:
        genes = ", ".join(f"{gene} ({n})" for gene, n in untested.by_gene.items())
        say(f"{untested.n_hits} of {n_hits} hits do not test every gene asked for; not tested in hits: {genes}.")


def _tell_not_searched(datasets: list[str]) -> None:
    if datasets:
        say(
            f"Not searched, as loaded before the landmarks were known: {', '.join(datasets)}; "
            "`pbdb etl status --stale` says what to run."
        )


def _effect_id(like: str, dose_um: float | None, where: Any) -> int:
    from pbdb.query import signature_search

    if like.isdigit():
        return int(like)
    effect = signature_search.effect_of(settings(), like, dose_um, where)
    say(
        f"Like {effect.compound_name} {effect.dose_um:g} uM in {effect.context_name} ({effect.dataset},"
        f" {effect.time_h:g} h; {effect.n_up} genes up, {effect.n_down} down), effect {effect.effect_id}:"
    )
    return effect.effect_id


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@examples("pbdb signature index")
@signature.command()
@click.option("--rebuild", is_flag=True, help="Make the index anew, its principal axes too.")
@json_option
def index(rebuild: bool, as_json: bool) -> None:
    """Index the signatures loaded since the last time, so search takes milliseconds: one index of all data sets."""
    from pbdb.query import database, signature_index, signature_search
    from pbdb.server import connect

    user_settings = settings()
    database.ready(user_settings)
    with TerminalReporter(quiet=as_json) as reporter:
        built = signature_index.build(connect.engine(user_settings), rebuild=rebuild, progress=reporter.progress)
        if built.datasets:
            what = "made anew" if built.is_anew else "brought up to date"
            reporter.stage("index", f"{built.n_signatures:,} signatures, {what} in {built.seconds:.1f} s")
    without = signature_search.not_searched(user_settings, signature_search.Where())
    if without:
        say(
            f"Without landmarks, so that search finds nothing there: {', '.join(without)}; "
            "`pbdb etl status --stale` says what to run."
        )
    if as_json:
        show_json(asdict(built))
    elif not built.datasets and not without:
        say("All data sets are indexed.")
