"""pbdb split: divisions of the conditions for training and testing models, without leaks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pbdb.cli.common import examples, json_option, say, settings, show_json, show_table
from pbdb.database.choices import LEVELS, SPLIT_KINDS

if TYPE_CHECKING:
    from pbdb.learn.splits.store import Checked, Rule

PARENT = "parent"


@click.group()
def split() -> None:
    """Make, list and check splits for training: who is held out is held out everywhere."""


@examples(
    "pbdb split make --kind compound --seed 1",
    "pbdb split make --kind scaffold --seed 1 --test 0.2 --name hard",
    "pbdb split make --kind published --seed 13",
    "pbdb split make --kind transfer --level skeleton",
    "pbdb split make --kind attribute --dataset op3",
)
@split.command()
@click.option("--kind", type=click.Choice(SPLIT_KINDS), required=True, help="What is held out.")
@click.option(
    "--level",
    type=click.Choice([PARENT, *LEVELS]),
    default=PARENT,
    show_default=True,
    help="Level at which two compounds are one; parent is parent_inchikey.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same split.")
@click.option("--validation", type=float, help="Share held out for validation: 0.1, or 0.15 of kind published.")
@click.option("--test", type=float, help="Share held out for testing: 0.1, or 0.15 of kind published.")
@click.option("--dataset", "datasets", multiple=True, help="Divide only this dataset; may be given again.")
@click.option(
    "--attribute", default="split", show_default=True, help="Of kind attribute: the condition's attribute to follow."
)
@click.option("--name", help="Name of the split; made of its choices unless given.")
@click.option("--replace", is_flag=True, help="Replace a split of this name.")
@json_option
def make(name: str | None, replace: bool, as_json: bool, **chosen: Any) -> None:
    """Divide the conditions into train, validation and test, and store the split.

    A compound is one in all data sets and salt forms (at the level chosen, and by CID); data sets that share wells,
    and lines derived from one another, stay together. Kind scaffold holds out Murcko scaffolds, published pairs of
    compound and context as the published training runs do, transfer compounds of one data set that train in others (new
    to the data set, not to the model), attribute follows what the source says of each condition.
    """
    from pbdb.learn.splits import store as splits
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    done = splits.make(user_settings, _rule(**chosen), name, replace=replace)
    if as_json:
        show_json(asdict(done))
    else:
        counts = ", ".join(f"{n:,} {fold}" for fold, n in done.folds.items())
        say(f"Split '{done.split}' is stored: {counts}.")


def _rule(*, kind: str, level: str, validation: float | None, test: float | None, **others: Any) -> Rule:
    from pbdb.learn.splits.rules import Shares
    from pbdb.learn.splits.store import Rule, usual_shares

    usual = usual_shares(kind)
    shares = Shares(
        validation=usual.validation if validation is None else validation, test=usual.test if test is None else test
    )
    return Rule(kind, level="parent_inchikey" if level == PARENT else level, shares=shares, **others)


@examples("pbdb split list", "pbdb split list --json")
@split.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the splits and the conditions in each of their folds."""
    from pbdb.learn.splits import store as splits
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    rows = splits.listed(user_settings)
    if as_json:
        show_json(rows)
    elif rows:
        folds = (", ".join(f"{n:,} {fold}" for fold, n in sorted((row["folds"] or {}).items())) for row in rows)
        show_table(
            ((row["split"], row["kind"], sizes) for row, sizes in zip(rows, folds, strict=True)),
            ("split", "kind", "folds"),
        )
    else:
        say("There is no split yet: `pbdb split make` makes one.")


@examples("pbdb split show compound-parent_inchikey-1", "pbdb split show op3-split --json")
@split.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show how the split NAME was made, and what each fold holds of each data set."""
    from pbdb.learn.splits import store as splits
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    stored = splits.show(user_settings, name)
    if as_json:
        show_json(asdict(stored))
        return
    choices = ", ".join(f"{key} {value}" for key, value in stored.parameters.items() if value not in ([], None))
    say(f"{stored.split}: {stored.kind}; {choices}")
    header = ("dataset", "fold", "conditions", "compounds", "contexts")
    show_table(([row[key] for key in header] for row in stored.folds), header)


@examples("pbdb split check compound-parent_inchikey-1", "pbdb split check hard --json")
@split.command()
@click.argument("name")
@json_option
def check(name: str, as_json: bool) -> None:
    """Prove that the split NAME does not leak, at every level of identity; exit code 1 where it does.

    What the split promises must be in one fold; coarser levels than its own are counted, not promised.
    """
    from pbdb.common.errors import DataError
    from pbdb.learn.splits import store as splits
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    done = splits.check(user_settings, name)
    if as_json:
        show_json(asdict(done))
    else:
        _print_check(done)
    if not done.ok:
        raise DataError(
            f"Split '{name}' leaks, for its conditions changed since it was made, or it was altered: make it anew with"
            " `pbdb split make --replace`."
        )


def _print_check(done: Checked) -> None:
    header = ("must be in one fold", "promised", "n", "in several", "for example")
    rows = ([one.what, one.promised, one.n, one.n_leaking, ", ".join(one.examples)] for one in done.findings)
    show_table(rows, header)
    if done.n_undivided:
        say(f"{done.n_undivided:,} conditions, loaded since, are in no fold.")
    if done.ok:
        say(f"No leak among {done.n_conditions:,} conditions.")


@examples("pbdb split drop hard")
@split.command()
@click.argument("name")
def drop(name: str) -> None:
    """Remove the split NAME."""
    from pbdb.learn.splits import store as splits
    from pbdb.query import database

    user_settings = settings()
    database.ready(user_settings)
    splits.drop(user_settings, name)
    say(f"Split '{name}' is gone.")
