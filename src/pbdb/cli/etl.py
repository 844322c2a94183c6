"""pbdb etl: list sources, show one, load it, look at the ledger."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table, worries_words
from pbdb.cli.shell import heartbeat
from pbdb.common.rows import Row
from pbdb.database.stage_names import STAGES

if TYPE_CHECKING:
    from pbdb.loading.load_report import Outcome
    from pbdb.sources.declaration import Source

A_PATH = click.Path(path_type=Path)


@click.group()
def etl() -> None:
    """Load published data sets from their files."""


@examples("pbdb etl list")
@etl.command("list")
@json_option
def list_sources(as_json: bool) -> None:
    """List the sources and the datasets each fills."""
    from pbdb.sources import registry

    rows = [
        {"source": key, "dataset": dataset, "title": source.title, **_terms(source, dataset)}
        for key in registry.known()
        for source in [registry.get(key)]
        for dataset in source.datasets
    ]
    if as_json:
        show_json(rows)
    else:
        show_table([list(row.values()) for row in rows], list(rows[0]))


def _terms(source: Source, dataset: str) -> dict[str, object]:
    declared = source.datasets[dataset]
    return {
        "technology": source.of(dataset).assay.technology,
        "access": declared.access,
        "license": declared.license,
        "redistributable": declared.is_redistributable,
    }


@examples("pbdb etl show drugseq", "pbdb etl show cigs")
@etl.command()
@click.argument("source")
@json_option
def show(source: str, as_json: bool) -> None:
    """Show a source: its datasets, what their terms allow, its files and how to get them."""
    from pbdb.sources import names

    names.require(source)
    from pbdb.sources import registry, terms

    declared = registry.get(source)
    datasets = {key: asdict(dataset) for key, dataset in declared.datasets.items()}
    files = [
        {"file": file.name, "url": file.url, "sha256": file.sha256, "set": file.set} for file in declared.files.values()
    ]
    if as_json:
        show_json({"source": declared.key, "title": declared.title, "datasets": datasets, "files": files})
        return
    click.echo(f"{declared.key}: {declared.title}\n{declared.homepage or ''}")
    for key in declared.datasets:
        click.echo(f"\ndataset {key}")
        for heading, words in terms.described(declared, key):
            click.echo(f"  {heading:<13}{words}")


@examples(
    "pbdb etl load drugseq",
    "pbdb etl load driad --from ../driadrc",
    "pbdb etl load driad --from ../driadrc --dry-run",
)
@etl.command()
@click.argument("source")
@click.option("--dataset", help="Load only this dataset of the source.")
@click.option(
    "--from", "folder", type=click.Path(path_type=Path), help="Folder that has the files; without it they are fetched."
)
@click.option("--until", type=click.Choice(STAGES), default=STAGES[-1], show_default=True, help="Last stage to run.")
@click.option("--effects/--no-effects", default=True, help="Fit effects (the default), or load the samples alone.")
@click.option("--force", is_flag=True, help="Run every stage anew, whatever is done.")
@click.option("--verify", is_flag=True, help="Hash all files again instead of trusting remembered hashes.")
@click.option("--plate-z", is_flag=True, help="Add robust z-scores within plates as a layer of the sample matrix.")
@click.option(
    "--pubchem",
    type=click.Choice(["local", "rest"]),
    default="local",
    show_default=True,
    help="Look compounds up in imported files and earlier answers only, or ask PubChem's service too.",
)
@click.option("--workers", type=click.IntRange(1), help="Pool single cells in N processes, each of about 4 GiB.")
@click.option("--cluster", metavar="ADDRESS", help="Pool single cells and fit effects on a Dask scheduler (tcp://...).")
@click.option("--allow-gene-loss", is_flag=True, help="Load although most features are no gene of the vocabulary.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing, and print what would change.")
@json_option
def load(source: str, folder: Path | None, as_json: bool, **chosen: Any) -> None:
    """Load a source into the database: its samples, conditions and effects.

    SOURCE is a key of `pbdb etl list`, or the path of a file that declares one. A load replaces a dataset as a
    whole, at the very end: stopped anywhere, the old data stand and the next run goes on. Loading the same files
    twice changes nothing. The stages in their order: extract, transform, validate, effects, publish, match.
    """
    from pbdb.sources import names

    names.require(source)
    from pbdb.sources import registry

    dataset = chosen.pop("dataset")
    declared = registry.of_dataset(source, dataset)  # first: a wrong name needs none of what a load imports
    from pbdb.loading import pipeline

    with TerminalReporter(quiet=as_json) as reporter:
        outcomes = pipeline.load_source(
            declared, settings(), pipeline.Choices(folder=folder, **chosen), dataset=dataset, reporter=reporter
        )
    if as_json:
        show_json([outcome.as_dict() for outcome in outcomes])
        return
    for outcome in outcomes:
        _say_outcome(outcome)


def _say_outcome(outcome: Outcome) -> None:
    if outcome.would_change is not None:
        rows = [[table, *counts.values()] for table, counts in outcome.would_change.items()]
        say(f"Dry run: nothing was changed. A load of '{outcome.dataset}' would")
        show_table(rows, ["table", "add", "remove", "keep"])
    elif outcome.changed:
        say(f"Dataset '{outcome.dataset}' is loaded.")


@examples(
    "pbdb etl new my_screen --matrix counts.csv.gz --samples sheet.csv",
    "pbdb etl new my_screen --matrix KP-6490-24hr --samples KP-6490-24hr/metadata.csv --technology MAC-seq",
    "pbdb etl new my_screen --matrix plates.h5ad",
)
@etl.command()
@click.argument("name")
@click.option(
    "--matrix",
    required=True,
    type=A_PATH,
    help="Genes x samples (.csv, .tsv, .xlsx, .parquet, .gct, .gctx, folder of 10x, STARsolo or kb), or .h5ad.",
)
@click.option("--samples", type=A_PATH, help="Sample sheet (.csv, .tsv, .xlsx); without it the samples of an .h5ad.")
@click.option("--technology", help="How it was measured, in words; a blank to fill in without it.")
@click.option("--force", is_flag=True, help="Replace a file of that name.")
@json_option
def new(name: str, matrix: Path, samples: Path | None, technology: str | None, force: bool, as_json: bool) -> None:
    """Write the declaration of your own plates, NAME.py, for `pbdb etl load ./NAME.py`.

    What matrix and sheet say by themselves stands in it: which column names the samples, plates, wells, compounds,
    doses and times, in which units, which wells are vehicle, what the genes are called. What they do not say is a
    blank, FILL_IN, with a comment; a load refuses to start while there is one.
    """
    from pbdb.loading import draft_source

    path = Path(name if name.endswith(".py") else f"{name}.py")
    written = draft_source.write(path, matrix, samples, technology=technology, cells=_cells(), force=force)
    if as_json:
        show_json(asdict(written))
        return
    for note in written.notes:
        say(f"{note[0].upper()}{note[1:]}.")
    show_table(list(written.found.items()), ["part", "found"])
    say(f"'{path}' is written: {written.samples:,} samples are in both files.")
    if written.no_matrix_column or written.no_sheet_row:
        say(
            f"Left out: {written.no_matrix_column:,} rows of the sheet, {written.no_sheet_row:,} samples of the matrix."
        )
    for line, wanted in written.blanks.items():
        say(f"Line {line} has a blank: {wanted}.")
    say(f"Then run `pbdb etl load {path if path.is_absolute() else f'./{path}'}`.")


def _cells() -> Any:
    """The vocabulary of cells, by which their names become ids; None where there is none, or no database."""
    from pbdb.common.errors import PbdbError
    from pbdb.identity.vocabulary import releases
    from pbdb.query import database
    from pbdb.server import connect

    try:
        database.ready(settings())
        with connect.engine(settings()).connect() as connection:
            return releases.cell_vocabulary(connection, settings())
    except PbdbError as problem:
        say(f"Names of cells were not looked up: {problem}")
        return None


@examples("pbdb etl report driad", "pbdb etl report driad --out driad.html")
@etl.command()
@click.argument("dataset")
@click.option("--out", type=A_PATH, help="File of the page; by default DATASET.html. Replaced where it is there.")
@json_option
def report(dataset: str, out: Path | None, as_json: bool) -> None:
    """Write one page on the quality of a loaded DATASET: plates, samples, fits, effects, and what to worry about.

    The page is one file that needs no network. Without the canonical matrix in the cache it shows what the database
    alone can say, and names the rest.
    """
    from pbdb.loading import dataset_page

    page = out or Path(f"{dataset}.html")
    with TerminalReporter(quiet=as_json) as reporter:
        done = dataset_page.write(settings(), dataset, page, reporter.progress)
    if as_json:
        show_json(done)
        return
    if done["missing"]:
        say(f"Not shown: {done['missing']}.")
    say(f"'{page}' has {done['figures']} figures, {worries_words(done['worries'])}.")


@examples("pbdb etl remove driad", "pbdb etl remove driad --dry-run", "pbdb etl remove driad --yes")
@etl.command()
@click.argument("dataset")
@click.option("--dry-run", is_flag=True, help="Print what would go, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@json_option
def remove(dataset: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take DATASET out of the database, with its effects, its matches and its places in splits.

    The ledger keeps what was done, and the cache its canonical matrix: the next load is quick. On a terminal it
    asks first.
    """
    from pbdb.loading import removal

    user_settings = settings()
    counts = removal.plan(user_settings, dataset)
    if not as_json:
        show_table([[table, n] for table, n in counts.items()], ["table", "rows to go"])
    removed = not dry_run and (yes or _confirmed(dataset))
    if removed:
        removal.remove(user_settings, dataset)
    if as_json:
        show_json({"dataset": dataset, "rows": counts, "removed": removed})
    say(f"Dataset '{dataset}' is no longer in the database." if removed else "Nothing was changed.")


def _confirmed(dataset: str) -> bool:
    """Ask on a terminal.

    Raises:
        ConfigError: there is no terminal.
    """
    from pbdb.common.errors import ConfigError

    if not _has_terminal():
        raise ConfigError(
            f"Removing '{dataset}' needs a yes: add --yes, or --dry-run to see what would go.", dataset=dataset
        )
    with heartbeat.paused():
        return click.confirm(f"Remove dataset '{dataset}' from the database?", err=True)


def _has_terminal() -> bool:
    return sys.stdin.isatty()


@examples("pbdb etl status", "pbdb etl status driad --json", "pbdb etl status --stale")
@etl.command()
@click.argument("name", required=False)
@click.option(
    "--stale", is_flag=True, help="Datasets that were loaded by other vocabularies than those in use, and what to run."
)
@json_option
def status(name: str | None, stale: bool, as_json: bool) -> None:
    """Show the ledger: what each stage read, wrote and left out, and what failed.

    NAME is a dataset, or a source and stands for all its datasets; without it everything is shown.
    """
    from pbdb.loading import ledger
    from pbdb.query import database
    from pbdb.server import connect

    user_settings = settings()
    database.ready(user_settings)
    if stale:
        _show_stale(ledger.stale(connect.engine(user_settings)), name, as_json)
        return
    rows = ledger.entries(connect.engine(user_settings), name)
    if name is not None and not rows:
        _require_known(name, ledger.entries(connect.engine(user_settings)))
    if as_json:
        show_json(rows)
        return
    if not rows:
        say(f"Nothing of '{name}' has been loaded yet." if name else "Nothing has been loaded yet.")
        return
    columns = ("dataset", "release", "stage", "status", "rows_in", "rows_out", "seconds", "peak_mb", "finished_at")
    show_table([[row[name] for name in columns] for row in rows], columns)
    for row in rows:
        if row["message"]:
            say(f"{row['dataset']} {row['stage']} failed: {row['message']}")


def _show_stale(rows: list[Row], name: str | None, as_json: bool) -> None:
    rows = [row for row in rows if name in (None, row["dataset"], row["source"])]
    if as_json:
        show_json(rows)
    elif rows:
        table = [[row["dataset"], row["loaded_at"], ", ".join(row["kinds"]), row["run"]] for row in rows]
        show_table(table, ["dataset", "loaded_at", "changed", "to load it again"])
    else:
        say("Every dataset was loaded with the vocabularies in use.")


def _require_known(name: str, rows: list[Row]) -> None:
    """Refuse a name that is neither in the ledger nor that of a source or of a dataset a source fills."""
    from pbdb.common.errors import QueryError, suggestion
    from pbdb.sources import registry

    names = {row[column] for row in rows for column in ("source", "dataset")}
    for key in registry.known():
        names |= {key, *registry.get(key).datasets}
    if name not in names:
        raise QueryError(f"There is no dataset or source '{name}': {suggestion(name, sorted(names))}", value=name)
