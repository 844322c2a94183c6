"""pbdb demo: simulate a small DRUG-seq release, load it, and look at it."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import click

from pbdb.cli.common import TerminalReporter, examples, say, settings, show_table
from pbdb.common.settings import Settings

SOURCE = "drugseq"
SHOWN_COMPOUND, SHOWN_DOSE_UM = "bortezomib", 1.0
SHOWN_GENES = 12


@examples("pbdb demo", "pbdb demo --matched", "pbdb demo --learn")
@click.command()
@click.option("--matched", is_flag=True, help="Four screens that share compounds: matches, agreement, search (1 min).")
@click.option("--learn", is_flag=True, help="The same screens: what acts alike, and how to tell (2 min).")
@click.option(
    "--compounds",
    type=click.IntRange(10, 40),
    default=24,
    show_default=True,
    help="With --matched: compounds to simulate.",
)
def demo(matched: bool, learn: bool, compounds: int) -> None:
    """Simulate a small DRUG-seq release with planted effects, load it, and show what is in the database.

    The demo has a home and a server of its own, in the folder `demo` of PBDB_HOME (`demo-matched` and `demo-learn` for
    the other two), and touches nothing else. A second run finds everything loaded.
    """
    user_settings = settings()
    if matched:
        from pbdb.cli import matched_demo

        matched_demo.run(replace(user_settings, home=user_settings.home / "demo-matched", database_url=None), compounds)
        return
    if learn:
        from pbdb.cli import learn_demo

        learn_demo.run(replace(user_settings, home=user_settings.home / "demo-learn", database_url=None))
        return
    demo_settings = replace(user_settings, home=user_settings.home / "demo", database_url=None)
    release = demo_settings.home / "release"
    _simulate(release)
    _load(demo_settings, release)
    _show_coverage(demo_settings)
    _show_next(demo_settings, _show_effects(demo_settings, release))


def _simulate(release: Path) -> None:
    from pbdb.simulate import drugseq

    if (release / "SHA256SUMS").is_file():
        return
    _command(f"pbdb simulate {SOURCE} --out {shlex.quote(str(release))}")
    release.mkdir(parents=True, exist_ok=True)
    truth = drugseq.write(release)
    say(f"          {sum(truth.wells.values()):,} wells on 12 plates; {len(truth.effects):,} effects planted")


def _load(demo_settings: Settings, release: Path) -> None:
    from pbdb.database import schema
    from pbdb.loading import pipeline
    from pbdb.server import connect
    from pbdb.sources import registry

    _command(f"pbdb etl load {SOURCE} --from {shlex.quote(str(release))}")
    schema.upgrade(connect.engine(demo_settings))
    with TerminalReporter() as reporter:
        pipeline.load_source(registry.get(SOURCE), demo_settings, pipeline.Choices(folder=release), reporter=reporter)


def _show_coverage(demo_settings: Settings) -> None:
    from pbdb.query import database

    columns = "dataset, context_name, n_compounds, n_conditions, n_samples, n_vehicle, n_effects, n_genes"
    _command(f'pbdb sql "SELECT {columns} FROM coverage"')
    coverage = database.connect(demo_settings).sql(f"SELECT {columns} FROM coverage")
    show_table(coverage.itertuples(index=False, name=None), list(coverage.columns))


def _show_effects(demo_settings: Settings, release: Path) -> str:
    """Show the strongest effects of one compound beside what was planted; return its InChIKey."""
    import pandas as pd

    from pbdb.query import database

    truth = pd.read_csv(release / "truth.csv")
    planted = truth[(truth["compound"] == SHOWN_COMPOUND) & (truth["dose_um"] == SHOWN_DOSE_UM)]
    key = {"inchikey": planted["inchikey"].iloc[0], "dose_um": SHOWN_DOSE_UM}
    query = (
        "SELECT gene_id, log2_fc, se, p_adj FROM condition_effect "
        "WHERE inchikey = %(inchikey)s AND dose_um = %(dose_um)s ORDER BY abs(log2_fc) DESC"
    )
    effects = (
        database.connect(demo_settings)
        .sql(query, key)
        .merge(planted[["gene_id", "gene_symbol", "log2_fc"]], on="gene_id", how="left", suffixes=("", "_planted"))
    )
    both = effects.dropna(subset=["log2_fc_planted"])
    effects["gene_symbol"] = effects["gene_symbol"].fillna(effects["gene_id"])
    columns = ["gene_symbol", "log2_fc", "log2_fc_planted", "se", "p_adj"]
    say("\nAs in the published files, compounds have codes, not names: InChIKeys tell which is which.")
    say(f"Strongest effects of {SHOWN_COMPOUND} at {SHOWN_DOSE_UM:g} uM, beside what was planted:")
    top = effects[columns].head(SHOWN_GENES).astype(object)
    show_table(top.where(top.notna(), None).itertuples(index=False, name=None), columns)
    r = both["log2_fc"].corr(both["log2_fc_planted"])
    say(f"Over the {len(both)} planted genes that were tested, estimate and truth correlate with r = {r:.3f}.")
    return str(key["inchikey"])


def _show_next(demo_settings: Settings, inchikey: str) -> None:
    query = (
        "SELECT inchikey, dose_um, log2_fc, p_adj FROM gene_response WHERE gene_symbol = 'HMOX1' ORDER BY log2_fc DESC"
    )
    pbdb = "pbdb" if shutil.which("pbdb") else shlex.quote(sys.argv[0])
    say("\nTo go on, use the demo's database and try:")
    click.echo(f"  export PBDB_HOME={shlex.quote(str(demo_settings.home))}")
    click.echo(f"  {pbdb} compound show {inchikey}")
    click.echo(f'  {pbdb} sql "{query}"')
    click.echo(f"  {pbdb} db psql")
    click.echo(f"  {pbdb} serve --open")


def _command(line: str) -> None:
    say(f"\n$ {line}")
