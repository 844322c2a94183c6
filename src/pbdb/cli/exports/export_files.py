"""pbdb export anndata, gctx, shards, fingerprints: effects and compounds as files of other tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json
from pbdb.common.settings import Settings

if TYPE_CHECKING:
    from pbdb.exports.selection import Written

Command = Callable[..., Any]
out_option = click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write; must be new.")
_DATASET = click.option("--dataset", "datasets", multiple=True, help="Only this dataset; may be given again.")
_INCLUDE = click.option(
    "--include", multiple=True, help="Also this dataset, though it may not be passed on; may be given again."
)


def choice_options(command: Command) -> Command:
    """Add the options that choose effects."""
    context = click.option(
        "--context", "contexts", multiple=True, help="Only this context (id or name); again as well."
    )
    compound = click.option(
        "--compound", "compounds", multiple=True, help="Only this compound (name or InChIKey); again as well."
    )
    for option in (_INCLUDE, compound, context, _DATASET):
        command = option(command)
    return command


def _known(chosen: Mapping[str, Sequence[str]], split: str | None = None) -> Settings:
    """Settings, once every name given is known: what follows takes seconds to import."""
    from pbdb.query import names

    found = settings()
    datasets = [*chosen["datasets"], *chosen["include"]]
    others = {kind: chosen.get(kind) for kind in ("contexts", "compounds")}
    names.require(found, datasets=datasets, splits=split, **others)
    return found


def _choice(**chosen: Any) -> Any:
    from pbdb.exports.selection import Choice

    return Choice(**chosen)


def _tell(done: Written, sentence: str, as_json: bool) -> None:
    if as_json:
        show_json(done)
    else:
        say(f"{sentence} are in {done['out']} ({done['bytes'] / 1e6:,.1f} MB).")


@examples(
    "pbdb export anndata --dataset drugseq --out drugseq_de",
    "pbdb export anndata --dataset l1000_phase1 --context A375 --out a375_de.h5ad",
    "pbdb export anndata --compound vorinostat --out vorinostat_de --json",
)
@click.command()
@choice_options
@out_option
@json_option
def anndata(out: Path, as_json: bool, **chosen: Any) -> None:
    """Write effects as AnnData, conditions x genes, in the layout of the published result files.

    One file for each context: --out is a new folder, or a file .h5ad where all that is chosen is of one context.
    Layers: logFC, t, P.Value, adj.P.Value.within_one_contrast, adj.P.Value.across_all_contrasts (over the whole fit,
    also where a few conditions are chosen), stdev.scaled, stdev.unscaled, CI.L, CI.R, AveExpr and B.
    """
    found = _known(chosen)
    from pbdb.exports import anndata_files

    with TerminalReporter(quiet=as_json) as reporter:
        done = anndata_files.write(found, _choice(**chosen), out, reporter.progress)
    n = sum(file["conditions"] for file in done["files"])
    _tell(done, f"{n:,} conditions in {len(done['files'])} files", as_json)


@examples("pbdb export gctx --dataset drugseq --out drugseq.gctx", "pbdb export gctx --value log2_fc --out all.gctx")
@click.command()
@choice_options
@click.option(
    "--value", type=click.Choice(["t", "log2_fc"]), default="t", show_default=True, help="What the matrix holds."
)
@out_option
@json_option
def gctx(out: Path, value: Any, as_json: bool, **chosen: Any) -> None:
    """Write effects as GCTX like L1000's level 5: genes x signatures, with metadata of both.

    Genes that a signature's fit did not test are missing values in it.
    """
    found = _known(chosen)
    from pbdb.exports import gctx_file

    with TerminalReporter(quiet=as_json) as reporter:
        done = gctx_file.write(found, _choice(**chosen), out, value, reporter.progress)
    _tell(done, f"{done['signatures']:,} signatures x {done['genes']:,} genes", as_json)


@examples(
    "pbdb export shards --key parent_inchikey --out shards",
    "pbdb export shards --split held-out-compounds --out shards",
)
@click.command()
@choice_options
@click.option(
    "--key",
    type=click.Choice(["pubchem_cid", "parent_inchikey", "inchikey"]),
    default="pubchem_cid",
    show_default=True,
    help="What names a perturbation.",
)
@click.option("--split", help="Name of a stored split: each shard then holds rows of one fold.")
@click.option("--published", is_flag=True, help="In the layout that the published pretraining code reads.")
@out_option
@json_option
def shards(out: Path, key: Any, split: str | None, published: bool, as_json: bool, **chosen: Any) -> None:
    """Write effects as long rows in Parquet shards of 200,000, for training.

    Below data/, rows are dataset, context, perturbation, readout (Ensembl id), log_dose (log10 uM), time (h), value
    (log2 fold change), se, n_treated and fold; beside it are compounds.parquet (SMILES, fingerprints), genes.parquet
    and metadata/, a row for each shard. Conditions without key, dose or fold are left out and counted.
    """
    found = _known(chosen, split)
    from pbdb.exports import shards as library

    with TerminalReporter(quiet=as_json) as reporter:
        done = library.write(found, _choice(**chosen), out, key, split, reporter.progress, published=published)
    if not as_json:
        missing = library.reasons(done["left_out"], key)
        say(f"left out: {missing}" if missing else "no condition is left out")
    _tell(done, f"{done['rows']:,} rows in {done['shards']:,} shards of {done['folders']:,} folders", as_json)


@examples(
    "pbdb export fingerprints --out fingerprints.parquet",
    "pbdb export fingerprints --dataset drugseq --out drugseq.fps",
)
@click.command()
@_DATASET
@_INCLUDE
@out_option
@json_option
def fingerprints(out: Path, as_json: bool, **chosen: Any) -> None:
    """Write the Morgan fingerprints (radius 2, 2048 bits) of compounds, as .parquet or in the .fps text format."""
    found = _known(chosen)
    from pbdb.exports import fingerprints as library

    done = library.write(found, _choice(**chosen), out)
    _tell(done, f"{done['compounds']:,} fingerprints", as_json)
