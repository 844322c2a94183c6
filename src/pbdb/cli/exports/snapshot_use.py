"""pbdb snapshot diff, catalog: compare two snapshots, register one as Iceberg tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, show_json
from pbdb.cli.exports.snapshot_folder import local_folder

if TYPE_CHECKING:
    from pbdb.exports.snapshots.differences import (
        ByDataset,
        Changes,
        CompoundChanges,
        Difference,
        SchemaChanges,
    )


@examples("pbdb snapshot diff snapshot-2026.1 snapshot-2026.2", "pbdb snapshot diff old new --json")
@click.command()
@click.argument("before", callback=local_folder)
@click.argument("after", callback=local_folder)
@json_option
def diff(before: Path, after: Path, as_json: bool) -> None:
    """Tell what changed from the snapshot BEFORE to the snapshot AFTER.

    Data sets, compounds merged or split, conditions added, removed or changed, effects whose numbers, p values or
    limma's p values changed, fits, matches, splits, parameters of agreement, schema, and every table and file that is
    another, from both folders alone. That files are as their manifests say is not verified: run `pbdb snapshot verify`
    on both first.
    """
    from pbdb.exports.snapshots import diff as library

    difference = library.compare(before, after)
    if as_json:
        show_json(difference)
        return
    say("Files are taken to be as their manifests say: `pbdb snapshot verify` tells whether they are.")
    lines = list(_lines(difference))
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("No difference.")


def _lines(difference: Difference) -> Iterator[str]:
    """One line for each thing that changed."""
    old, new = difference["releases"]
    if old != new:
        yield f"release: {old} -> {new}"
    yield from _listed("dataset", difference["datasets"])
    yield from _listed("fit", difference["fits"])
    yield from _listed("matches", difference["matches"])
    yield from _listed("split", difference["splits"])
    yield from _listed("agreement with", difference["agreements"])
    yield from _listed("vocabulary", difference["vocabularies"])
    yield from _compounds(difference["compounds"])
    yield from _by_dataset("conditions", difference["conditions"])
    yield from _by_dataset("effects", difference["effects"])
    for name, (was, now) in difference["genes"].items():
        yield f"genes: {name} {was} -> {now}"
    yield from _schema(difference["schema"])
    yield from _files(difference)


def _by_dataset(what: str, changes: ByDataset) -> Iterator[str]:
    for dataset, kinds in changes.items():
        for kind, counted in kinds.items():
            yield f"{what} of {dataset}: {counted['n']:,} {kind.replace('_', ' ')}"


def _listed(word: str, rows: Changes) -> Iterator[str]:
    yield from (f"{word} {name}: added" for name in rows["added"])
    yield from (f"{word} {name}: removed" for name in rows["removed"])
    for name, facts in rows["changed"].items():
        yield f"{word} {name}: " + ", ".join(f"{key} {old} -> {new}" for key, (old, new) in facts.items())


def _files(difference: Difference) -> Iterator[str]:
    """Tables with other rows, sample matrices, and how many files of each folder are others."""
    for path, facts in difference["tables"]["changed"].items():
        name = path.removeprefix("core/").removesuffix(".parquet")
        yield f"rows of {name}: " + (" -> ".join(f"{n:,}" for n in facts["rows"]) if "rows" in facts else "changed")
    samples = difference["samples"]
    matrices = {"added": samples["added"], "removed": samples["removed"], "changed": list(samples["changed"])}
    for kind, paths in matrices.items():
        yield from (f"{path}: {kind}" for path in paths)
    for folder, kinds in difference["files"].items():
        is_folder = folder.endswith("/")
        yield f"{folder}: " + ", ".join(f"{n:,} files {kind}" if is_folder else kind for kind, n in kinds.items())


def _compounds(compounds: CompoundChanges) -> Iterator[str]:
    yield from (f"compounds merged into {key}: {', '.join(keys)}" for key, keys in compounds["merged"].items())
    yield from (f"compound {key} split into: {', '.join(keys)}" for key, keys in compounds["split"].items())
    yield from (f"compound {old} became {new}" for old, new in compounds["changed"].items())
    counts = {
        "added": len(compounds["added"]),
        "removed": len(compounds["removed"]),
        "newly resolved": compounds["newly_resolved"],
        "no longer resolved": compounds["no_longer_resolved"],
    }
    yield from (f"compounds: {n:,} {name}" for name, n in counts.items() if n)


def _schema(schema: SchemaChanges) -> Iterator[str]:
    old, new = schema["revision"]
    if old != new:
        yield f"schema: revision {old} -> {new}"
    yield from (f"table {name}: added" for name in schema["tables_added"])
    yield from (f"table {name}: removed" for name in schema["tables_removed"])
    for table, columns in schema["columns"].items():
        yield from (f"column {table}.{name}: {was} -> {now}" for name, (was, now) in columns.items())


@examples(
    "pbdb snapshot catalog snapshot-2026.1 --uri sqlite:///releases.db",
    "pbdb snapshot catalog snapshot-2026.2 --uri sqlite:///releases.db --warehouse iceberg",
)
@click.command()
@click.argument("folder", metavar="DIR", callback=local_folder)
@click.option("--uri", required=True, help="SQL catalog: sqlite:///FILE, or postgresql+psycopg://...")
@click.option(
    "--warehouse",
    type=click.Path(path_type=Path),
    help="Folder for the tables' metadata; `iceberg` beside DIR unless given.",
)
@json_option
def catalog(folder: Path, uri: str, warehouse: Path | None, as_json: bool) -> None:
    """Register the snapshot DIR as Apache Iceberg tables, its Parquet files where they lie.

    Every release becomes a new snapshot of each table, and a tag of its name: earlier releases stay readable as long
    as their folders stay.
    """
    from pbdb.exports.snapshots import iceberg

    with TerminalReporter(quiet=as_json) as reporter:
        done = iceberg.register(folder, uri, warehouse, reporter.progress)
    if as_json:
        show_json(done)
        return
    counts = ", ".join(f"{n} {what}" for what, n in sorted(Counter(done["tables"].values()).items()))
    say(f"Release {done['release']} is in {done['uri']}: tables {counts}; metadata in {done['warehouse']}.")
