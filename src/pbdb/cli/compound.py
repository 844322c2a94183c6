"""pbdb compound: show, search and resolve compounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pbdb.cli.common import examples, json_option, say, settings, show_json, show_table
from pbdb.common.rows import Row

if TYPE_CHECKING:
    from pbdb.query.compound_page import Page


@click.group()
def compound() -> None:
    """Look at compounds: their identity, their names, what is like them."""


@examples("pbdb compound show vorinostat", "pbdb compound show vorinostat --picture vorinostat.svg")
@compound.command()
@click.argument("text", metavar="NAME")
@click.option("--picture", type=click.Path(path_type=Path), help="Also draw the structure to this .svg or .png file.")
@json_option
def show(text: str, picture: Path | None, as_json: bool) -> None:
    """Show all that is known of a compound: levels of identity, names, conflicts, annotations, conditions.

    NAME is any name or number it goes by in a data set, an InChIKey, or a PubChem CID.
    """
    from pbdb.query import compound_page, database

    page = compound_page.describe(database.connect(settings()), text)
    if picture is not None:
        compound_page.draw(page, picture)
        say(f"The structure is drawn in {picture}.")
    if as_json:
        show_json(page)
    else:
        _print_page(page)


def _print_page(page: Page) -> None:
    from pbdb.query.compound_page import PARTS

    click.echo(page["name"])
    for row in page["compounds"]:
        facts = ((name.replace("_", " "), str(value)) for name, value in row.items() if value is not None)
        click.echo()
        show_table(facts, ["compound", ""])
    for part in PARTS:
        if page[part]:
            click.echo(f"\n{part}")
            _show_rows(page[part])


@examples("pbdb compound conflicts", "pbdb compound conflicts --dataset drugseq --json")
@compound.command()
@click.option("--dataset", help="Only those of this dataset.")
@json_option
def conflicts(dataset: str | None, as_json: bool) -> None:
    """List compounds for which a source gives contradicting structures, keys or CIDs."""
    from pbdb.query import compound_page, database

    _print(compound_page.conflicts(database.connect(settings()), dataset), as_json, "There are no conflicts.")


@examples(
    "pbdb compound search --smiles 'CC(=O)Oc1ccccc1C(=O)O' --limit 10",
    "pbdb compound search --substructure 'ONC(=O)'",
    "pbdb compound search --name statin",
)
@compound.command()
@click.option("--smiles", help="Compounds most similar to this structure.")
@click.option("--substructure", help="Compounds that contain this SMARTS pattern.")
@click.option("--name", help="Compounds with a name that contains this text.")
@click.option("--inchikey", help="Compounds with this InChIKey, or salts of it.")
@click.option("--cid", help="Compounds with this PubChem CID.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Most compounds to print.")
@json_option
def search(limit: int, as_json: bool, **chosen: str | None) -> None:
    """Search for compounds in one of five ways."""
    from pbdb.query import compounds as compound_search
    from pbdb.query import database

    asked = {way: text for way, text in chosen.items() if text is not None}
    if len(asked) != 1:
        raise click.UsageError("Give exactly one of --smiles, --substructure, --name, --inchikey, --cid.")
    hits = compound_search.find(database.connect(settings()), *asked.popitem(), limit)
    _print(hits, as_json, "No compound is found.")


@examples("pbdb compound resolve compounds.csv", "pbdb compound resolve compounds.csv --pubchem rest --json")
@compound.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--pubchem",
    type=click.Choice(["local", "rest"]),
    default="local",
    show_default=True,
    help="Ask imported files and earlier answers only, or PubChem's service too.",
)
@json_option
def resolve(path: Path, pubchem: Literal["local", "rest"], as_json: bool) -> None:
    """Resolve the compounds of a table, and say which route decided and what was in the way.

    FILE (.csv, .tsv, .xlsx) has any of the columns smiles, inchikey, pubchem_cid, cas and name, in any usual spelling;
    other columns are not read, and named.
    """
    from pbdb.identity.compounds import pubchem_bulk_lookup, user_table
    from pbdb.identity.vocabulary import references

    user_settings = settings()
    given = user_table.read(path)
    for note in given.notes:
        say(f"{note[0].upper()}{note[1:]}.")
    asked = pubchem_bulk_lookup.lookup(user_settings, pubchem)
    listed = references.structures_by_name(user_settings, references.in_home(user_settings))
    rows = user_table.resolve_table(given, asked, user_settings.workers, listed)
    _print(rows, as_json, f"'{path}' has no rows.")
    if not as_json:
        say(user_table.in_words(rows))


def _print(rows: list[Row], as_json: bool, nothing: str) -> None:
    if as_json:
        show_json(rows)
    elif rows:
        _show_rows(rows)
    else:
        say(nothing)


def _show_rows(rows: list[Row]) -> None:
    show_table([[_joined(value) for value in row.values()] for row in rows], list(rows[0]))


def _joined(value: object) -> object:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else value
