"""The second demo: four simulated screens that share compounds, from files to a page on how far they agree."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from pbdb.cli.common import say
from pbdb.common.settings import Settings

PAGE, RELEASE = "report.html", "release"
SHOWN = ("vorinostat", "screen_one", "U-2 OS", 10.0)
WITH_REPLICATES = ("screen_one", "screen_two")
PEERS = 128


def run(demo_settings: Settings, compounds: int) -> None:
    """Simulate, load, match, measure agreement, write the page, and search, as a user would at a terminal."""
    from pbdb.simulate import screens as simulated
    from pbdb.simulate.declarations import screens

    release = demo_settings.home / RELEASE
    os.environ["PBDB_HOME"] = str(demo_settings.home)
    os.environ.pop("PBDB_DATABASE_URL", None)
    _simulate(release, compounds)
    _command("vocab", "import", "genes", str(release / simulated.VOCABULARY), "--release", "simulated")
    _command("vocab", "import", "landmarks", str(release / simulated.LANDMARKS))
    _command("etl", "load", screens.__file__, "--from", str(release))
    _command("match", "status")
    for dataset in WITH_REPLICATES:
        _command("effects", "run", dataset, "--mode", "replicate")
    _command("agreement", "replicates", "--peers", str(PEERS))
    _command("agreement", "run", "--peers", str(PEERS))
    _command("agreement", "show", "--metric", "direction")
    say("\nPlanted: screen_two as screen_one, screen_signs in direction only, screen_apart not at all.")
    _command("agreement", "report", "--out", str(demo_settings.home / PAGE))
    _search(demo_settings)
    say("\nTo go on, open the page in a browser, and use the demo's database:")
    say(
        f"  {demo_settings.home / PAGE}\n  export PBDB_HOME={shlex.quote(str(demo_settings.home))}\n  pbdb serve --open"
    )


def _simulate(release: Path, compounds: int) -> None:
    from pbdb.simulate import screens

    if (release / screens.COMPOUNDS).is_file():
        return
    truth = screens.write_screens(release, compounds=compounds)
    say(f"Simulated {len(truth.log2_fc)} screens of the same {len(truth.compounds)} compounds in '{release}'")


def _search(demo_settings: Settings) -> None:
    from pbdb.query import database

    query = """SELECT effect_id FROM effect WHERE compound_name = %(compound)s AND dataset = %(dataset)s
        AND mode = 'pooled' AND dose_um = %(dose)s
        AND context = (SELECT context FROM context WHERE context_name = %(cells)s)"""
    parameters = dict(zip(("compound", "dataset", "cells", "dose"), SHOWN, strict=True))
    effect = database.connect(demo_settings).sql(query, parameters)
    if not effect.empty:
        _command("signature", "index")
        say(f"\nSignatures most like that of {SHOWN[0]} at {SHOWN[3]:g} uM in {SHOWN[2]} of {SHOWN[1]}:")
        _command("signature", "search", "--like", str(effect["effect_id"].iloc[0]), "-n", "8")


def _command(*arguments: str) -> None:
    from pbdb.cli import pbdb

    say(f"\n$ pbdb {shlex.join(arguments)}")
    pbdb.main(list(arguments), prog_name="pbdb", standalone_mode=False)
