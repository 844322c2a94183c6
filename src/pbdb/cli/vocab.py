"""pbdb vocab: vocabularies of genes, cells and compounds, imported from published tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table

if TYPE_CHECKING:
    from pbdb.identity.vocabulary.releases import Outcome

KINDS = (
    "genes", "hgnc", "landmarks", "cellosaurus", "cell_ontology", "cell_names", "pubchem", "repurposing_hub", "moabox",
    "tahoe_drugs", "sciplex_drugs",
)  # fmt: skip
FETCHED = ("genes", "hgnc", "landmarks", "cellosaurus", "cell_ontology")


@click.group()
def vocab() -> None:
    """Import the vocabularies that identities are brought to, and look at them."""


@examples(
    "pbdb vocab import genes Homo_sapiens.GRCh38.115.gtf.gz",
    "pbdb vocab import genes exported.tsv --release 'Ensembl 115'",
    "pbdb vocab import cellosaurus cellosaurus.txt",
    "pbdb vocab import repurposing_hub repurposing_drugs_20200324.txt repurposing_samples_20200324.txt",
)
@vocab.command("import")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("paths", type=click.Path(path_type=Path), metavar="FILE...", nargs=-1, required=True)
@click.option("--release", help="What to call the release, where the file does not say which it is.")
@json_option
def import_file(kind: str, paths: tuple[Path, ...], release: str | None, as_json: bool) -> None:
    """Import a published table; its form is recognised by its content.

    KIND is genes, hgnc, landmarks, cellosaurus, cell_ontology, cell_names, pubchem, or a reference table of
    compounds: repurposing_hub, moabox, tahoe_drugs, sciplex_drugs. The first release of a kind is used at once,
    another one after `pbdb vocab use`.
    """
    from pbdb.identity.vocabulary import releases

    with TerminalReporter(quiet=as_json) as reporter:
        done = releases.import_files(_ready(), kind, paths, release, reporter.progress)
    _tell(done, as_json)


@examples("pbdb vocab fetch genes", "pbdb vocab fetch genes --release 114", "pbdb vocab fetch cellosaurus")
@vocab.command()
@click.argument("kind", type=click.Choice(FETCHED), metavar="KIND")
@click.option("--release", help="Another release than the pinned one, as its provider writes it.")
@click.option("--mirror", metavar="URL", help="Folder that holds the provider's files.")
@json_option
def fetch(kind: str, release: str | None, mirror: str | None, as_json: bool) -> None:
    """Fetch a pinned release from its provider and import it.

    KIND is genes, hgnc, landmarks, cellosaurus or cell_ontology. A fetch that was cut off goes on where it stopped.
    """
    from pbdb.identity.vocabulary import fetch as vocabulary_fetch

    with TerminalReporter(quiet=as_json) as reporter:
        done = vocabulary_fetch.fetch(_ready(), kind, release, mirror, reporter.progress)
    _tell(done, as_json)


@examples("pbdb vocab use genes 'Ensembl 114'")
@vocab.command()
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("release")
@json_option
def use(kind: str, release: str, as_json: bool) -> None:
    """Use another imported release of a kind, and label what is loaded by it."""
    from pbdb.identity.vocabulary import releases

    _tell(releases.use(_ready(), kind, release), as_json)


@examples("pbdb vocab apply")
@vocab.command()
@json_option
def apply(as_json: bool) -> None:
    """Label what is loaded by the releases in use.

    Genes, contexts and compounds get their labels anew. Fits that hold a gene which the vocabulary retired, merged
    or dropped are marked as stale: counts must be summed before a fit, so a label cannot mend them.
    """
    from pbdb.identity.vocabulary import releases

    _tell(releases.apply(_ready()), as_json)


@examples("pbdb vocab status")
@vocab.command()
@json_option
def status(as_json: bool) -> None:
    """Show which releases are imported and which are in use."""
    from pbdb.identity.vocabulary import releases
    from pbdb.server import connect

    with connect.engine(_ready()).connect() as connection:
        rows = releases.status(connection)
    if as_json:
        show_json(rows)
    elif rows:
        columns = ("kind", "release", "is_current", "n_rows", "origin", "imported_at")
        show_table([[row[name] for name in columns] for row in rows], columns)
    else:
        say("No vocabulary is imported: run `pbdb vocab import genes FILE` or `pbdb vocab fetch genes`.")


def _ready() -> Any:
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    return user_settings


def _tell(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        show_json(outcome.as_json())
        return
    release = outcome.release
    numbers = ({"rows": release.n_rows} if release else {}) | outcome.labelled
    counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in numbers.items())
    if release:
        say(f"{release.kind} {release.name}: {counts}")
    else:
        say(f"Labelled: {counts}" if any(numbers.values()) else "Nothing to label: all that is loaded has its labels.")
    if release and not release.is_current:
        say(f"It is not in use yet: pbdb vocab use {release.kind} '{release.name}'")
    _tell_older_loads()
    for row in outcome.stale or []:
        say(f"{row['n_fits']} fits of '{row['dataset']}' are stale ({row['n_genes']} genes are gone): refit with")
        say(f"  pbdb etl load {row['source']} --dataset {row['dataset']} --force")


def _tell_older_loads() -> None:
    """Name the datasets that were loaded by other vocabularies than those in use now."""
    from pbdb.loading import ledger
    from pbdb.server import connect

    older = [row["dataset"] for row in ledger.stale(connect.engine(settings()))]
    if older:
        say(f"Loaded by other vocabularies than those now in use: {', '.join(older)}; see `pbdb etl status --stale`.")
