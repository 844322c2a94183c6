"""The third demo: four simulated screens, from files to "what acts like bortezomib?" and an honest evaluation."""

from __future__ import annotations

import os
import shlex
import shutil

from pbdb.cli.common import say
from pbdb.cli.matched_demo import RELEASE, _command, _simulate
from pbdb.common.settings import Settings

COMPOUNDS, ASKED, EPOCHS, REPEATS = 40, "bortezomib", 5, 2
MODEL, PAGE = "model", "evaluation.html"


def run(demo_settings: Settings) -> None:
    """Simulate, load, train, ask, predict and evaluate, as a user would at a terminal."""
    from pbdb.simulate import screens as simulated
    from pbdb.simulate.declarations import screens

    home = demo_settings.home
    release, model = home / RELEASE, home / MODEL
    os.environ["PBDB_HOME"] = str(home)
    os.environ.pop("PBDB_DATABASE_URL", None)
    _simulate(release, COMPOUNDS)
    _command("vocab", "import", "genes", str(release / simulated.VOCABULARY), "--release", "simulated")
    _command("etl", "load", screens.__file__, "--from", str(release))
    shutil.rmtree(model, ignore_errors=True)
    _command("embed", "train", "--out", str(model))
    _command("embed", "load", str(model), "--replace")
    _command("embed", "similar", ASKED, "--top", "6")
    say("\nPlanted: compounds of one mechanism act alike; MG-132 and ixazomib block the proteasome too.")
    place = ("--context", "CVCL:0023", "--dose", "2", "--time", "24")
    _command("embed", "predict", ASKED, *place, "--top", "5")
    page = home / PAGE
    _command("evaluate", "holdout", "--repeats", str(REPEATS), "--epochs", str(EPOCHS), "--page", str(page))
    say("\nForty simulated compounds: what the numbers are worth, the page says. To go on, use the demo's database:")
    say(f"  {page}\n  export PBDB_HOME={shlex.quote(str(home))}")
