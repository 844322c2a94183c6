"""pbdb simulate: small releases in the published file layouts, with planted effects."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import shlex
from collections.abc import Callable
from pathlib import Path

import click

from pbdb import simulate as simulators
from pbdb.cli.common import examples, say
from pbdb.common import output_files
from pbdb.common.errors import ConfigError, suggestion

GENES = "genes.tsv"


def writers() -> dict[str, Callable[..., None]]:
    """Functions that write a release, by source: those named `write` in modules of pbdb.simulate."""
    names = [module.name for module in pkgutil.iter_modules(simulators.__path__)]
    modules = {name: importlib.import_module(f"pbdb.simulate.{name}") for name in names}
    return {name: module.write for name, module in modules.items() if hasattr(module, "write")}


class _WithSources(click.Command):
    """A command whose help lists the sources; they are imported when it is asked for."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the text and, below it, each source with the seed it has by default."""
        super().format_help_text(ctx, formatter)
        seeds = {name: inspect.signature(write).parameters["seed"].default for name, write in writers().items()}
        with formatter.section("Sources"):
            formatter.write_dl([(name, f"seed {seed} by default") for name, seed in seeds.items()])


@examples("pbdb simulate drugseq --out release", "pbdb simulate drugseq --out release --seed 7")
@click.command(cls=_WithSources)
@click.argument("source")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to write to: new (it is made), or empty."
)
@click.option("--seed", type=int, help="Seed of the random numbers; the same seed writes the same bytes.")
def simulate(source: str, out: Path, seed: int | None) -> None:
    """Write a small release of SOURCE in its published file layout, with effects planted and listed in truth.csv."""
    known = writers()
    if source not in known:
        raise ConfigError(f"There is no simulator of '{source}': {suggestion(source, list(known))}", value=source)
    output_files.make_folder(out, empty=True)
    known[source](out, **({} if seed is None else {"seed": seed}))
    files = [path for path in out.rglob("*") if path.is_file()]
    size = sum(file.stat().st_size for file in files)
    say(f"'{out}' holds {len(files)} files, {size / 1e6:.1f} MB. Load it:")
    if (out / GENES).is_file():
        say(f"  pbdb vocab import genes {shlex.quote(str(out / GENES))} --release simulated")
    say(f"  pbdb etl load {source} --from {shlex.quote(str(out))}")
