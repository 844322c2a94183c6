"""pbdb embed: vectors of compounds by how they act: train, load, ask, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table


@click.group()
def embed() -> None:
    """Give compounds vectors by how they act, and ask which act alike."""


@examples(
    "pbdb embed train --out model",
    "pbdb embed train --snapshot 2026.1 --without-dataset op3 --out model",
    "pbdb embed train --split transfer-skeleton-0 --rank 16 --out held",
    "pbdb embed train --kind lpm --published --out published",
)
@embed.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the model.")
@click.option(
    "--snapshot", type=click.Path(path_type=Path, exists=True), help="Learn from this snapshot, not the database."
)
@click.option(
    "--kind",
    type=click.Choice(["lowrank", "lpm"]),
    default="lowrank",
    show_default=True,
    help="lowrank: factors with uncertainty; lpm: the published network, for comparison.",
)
@click.option("--rank", type=int, help="Number of factors; chosen on validation compounds unless given.")
@click.option("--split", help="Learn from the training fold of this split only.")
@click.option("--dataset", "datasets", multiple=True, help="Learn from this data set only; may be given again.")
@click.option("--without-dataset", "without", multiple=True, help="Leave this data set out; may be given again.")
@click.option("--structure/--no-structure", default=True, help="Let structures inform the vectors (default), or not.")
@click.option("--published", is_flag=True, help="Of lpm: the published recipe, without our two changes.")
@click.option("--epochs", type=int, help="Of lpm: epochs at most.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same model.")
@json_option
def train(out: Path, snapshot: Path | None, as_json: bool, **chosen: Any) -> None:
    """Train a model on the default effects; what was stopped goes on where it was.

    The folder gets embedding.parquet (a vector and its reliability for each compound), what predicts, and a manifest.
    """
    from pbdb.query import names

    found = settings()
    if snapshot is None:
        names.require(found, datasets=[*chosen["datasets"], *chosen["without"]], splits=chosen["split"])
    from pbdb.learn import training

    with TerminalReporter(quiet=as_json) as reporter:
        content = training.train(found, out, training.Choices(**chosen), snapshot, reporter)
    if as_json:
        show_json(content)
    else:
        say(f"'{out}' holds the model: `pbdb embed load {out}` puts it into the database.")


@examples("pbdb embed load model", "pbdb embed load model --name all_2026 --default")
@embed.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the model in the database; that of the folder unless given.")
@click.option("--default", is_flag=True, help="Ask this model unless another is named; the first one is so anyway.")
@click.option("--replace", is_flag=True, help="Replace a model of this name.")
@json_option
def load(folder: Path, name: str | None, default: bool, replace: bool, as_json: bool) -> None:
    """Load the vectors of a trained model into the database.

    They are shown to those only who may see all the data sets it learned from.
    """
    from pbdb.learn import stored_models
    from pbdb.query import database

    found = settings()
    database.ready(found)
    done = stored_models.load(found, folder, name, default=default, replace=replace)
    if as_json:
        show_json(done)
    else:
        say(f"Model '{done['model']}' has vectors of {done['compounds']:,} compounds: try `pbdb embed similar NAME`.")


@examples("pbdb embed list", "pbdb embed list --json")
@embed.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the models in the database."""
    from pbdb.learn import stored_models
    from pbdb.query import database

    rows = stored_models.listed(database.connect(settings()))
    if as_json:
        show_json(rows)
    elif rows:
        columns = ["model", "kind", "is_default_model", "n_dimensions", "n_compounds", "training_split"]
        show_table(
            [[*(row[name] for name in columns), ", ".join(row["datasets"])] for row in rows], [*columns, "datasets"]
        )
    else:
        say("No model is loaded yet: `pbdb embed train` makes one, `pbdb embed load` loads it.")


@examples(
    "pbdb embed similar bortezomib",
    "pbdb embed similar vorinostat --top 40 --unlike 0.4",
    "pbdb embed similar aspirin --all",
)
@embed.command()
@click.argument("compound")
@click.option("--top", type=int, default=20, show_default=True, help="Number of compounds.")
@click.option("--model", help="The model to ask; the default one unless given.")
@click.option("--all", "everything", is_flag=True, help="Show compounds of reliability below 0.3 too.")
@click.option("--unlike", type=float, help="Only compounds whose structure is less similar than this (Tanimoto).")
@json_option
def similar(compound: str, top: int, model: str | None, everything: bool, unlike: float | None, as_json: bool) -> None:
    """Show the compounds that act most like COMPOUND, with their structural similarity beside.

    percentile: share of random pairs of compounds, known as well as this pair, that are less alike. reliability: how
    much the data say of a compound (0 to 1, a rank and no probability). What acts alike and looks different is the
    interesting part: --unlike 0.4.
    """
    from pbdb.learn import stored_models
    from pbdb.query import database

    least = 0.0 if everything else stored_models.LEAST_RELIABILITY
    wanted = top if unlike is None else 50 * top
    rows = stored_models.similar(database.connect(settings()), compound, wanted, model, least)
    if unlike is not None:
        rows = [row for row in rows if row["tanimoto"] is None or row["tanimoto"] < unlike]
    if as_json:
        show_json(rows[:top])
    else:
        show_table([list(row.values()) for row in rows[:top]], list(rows[0]) if rows else ["compound_name"])


@examples(
    "pbdb embed predict vorinostat --context CVCL:0023 --dose 10 --time 24",
    "pbdb embed predict 'CC(=O)Oc1ccccc1C(=O)O' --context CVCL:0023 --dose 10 --time 24 --model model --json",
)
@embed.command()
@click.argument("what", metavar="COMPOUND|SMILES")
@click.option("--context", required=True, help="Id of the context, such as CVCL:0023; one the model has seen.")
@click.option("--dose", "dose_um", type=float, required=True, help="Dose in micromolar.")
@click.option("--time", "time_h", type=float, required=True, help="Hours.")
@click.option("--model", help="A loaded model, or a model's folder; the default model unless given.")
@click.option("--dataset", help="As this data set would measure it; the largest of the context unless given.")
@click.option("--top", type=int, default=20, show_default=True, help="Genes to show; JSON has all.")
@json_option
def predict(what: str, model: str | None, top: int, as_json: bool, **place: Any) -> None:
    """Predict a signature: log2 fold changes with their standard deviation.

    Contexts the model never saw are refused. A compound without effects is guessed from its structure, and the answer
    says so.
    """
    from pbdb.learn import prediction, stored_models
    from pbdb.query import database

    found = database.connect(settings())
    names = [row["model"] for row in stored_models.listed(found)] if model is None else [model]
    if not names:
        raise click.UsageError("No model is loaded: give --model FOLDER.")
    facts, table = prediction.predict(found, what, model=names[0], **place)
    if as_json:
        show_json(facts | {"genes": table.to_dict("records")})
        return
    guessed = "guessed from the structure alone" if facts["from_structure"] else "known by its effects"
    say(f"{facts['compound']} in {facts['context']} as {facts['dataset']} measures: {guessed}, reliability"
        f" {facts['reliability']:.2f}; largest of {len(table):,} genes:")  # fmt: skip
    show_table(table.head(top).itertuples(index=False, name=None), list(table.columns))
