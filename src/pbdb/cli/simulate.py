"""pbdb simulate: small releases in the published file layouts, with planted effects."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import click

from pbdb import simulate as simulators
from pbdb.cli.common import examples, say
from pbdb.errors import ConfigError


def known() -> list[str]:
    """Sources that have a simulator: modules of pbdb.simulate with a function `write`."""
    modules = (module.name for module in pkgutil.iter_modules(simulators.__path__))
    return [name for name in modules if hasattr(importlib.import_module(f"pbdb.simulate.{name}"), "write")]


@examples("pbdb simulate drugseq --out release", "pbdb simulate drugseq --out release --seed 7")
@click.command()
@click.argument("source")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to; made where missing.")
@click.option("--seed", type=int, help="Seed of the random numbers; the same seed writes the same bytes.")
def simulate(source: str, out: Path, seed: int | None) -> None:
    """Write a small release of SOURCE in its published file layout, with effects planted and listed in truth.csv."""
    if source not in known():
        raise ConfigError(f"There is no simulator of '{source}'; there is one of {', '.join(known())}.")
    write: Any = importlib.import_module(f"pbdb.simulate.{source}").write
    chosen = {"seed": seed} if seed is not None and "seed" in inspect.signature(write).parameters else {}
    out.mkdir(parents=True, exist_ok=True)
    write(out, **chosen)
    files = list(out.iterdir())
    size = sum(file.stat().st_size for file in files)
    say(f"'{out}' holds {len(files)} files, {size / 1e6:.1f} MB. Load it: pbdb etl load {source} --from {out}")
