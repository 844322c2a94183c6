"""Ctrl-C ends real commands at any moment, and whatever is stuck or swallows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pbdb.cli.shell.interrupts import STOPPED

STUCK = {
    "in C": "import ctypes; ctypes.CDLL(None).sleep(60)",
    "swallows": """
import time
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass""",
    "waits for threads": """
import time
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    list(pool.map(time.sleep, [60, 60]))""",
}
# Twice the two seconds that are promised, and a busy machine's share.
LONGEST = 20


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Ctrl-C is heard, though who runs the tests in the background may ignore it: commands inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _interrupted(process: subprocess.Popen[str], after: float) -> tuple[int, str]:
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=LONGEST)
    finally:
        process.kill()
    return process.returncode, said


def _started(*words: str, home: Path | None = None) -> subprocess.Popen[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PBDB_")}
    return subprocess.Popen(
        [sys.executable, *words],
        env=own | ({} if home is None else {"PBDB_HOME": str(home)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", STUCK)
def test_what_is_stuck_or_swallows_it_ends(how: str) -> None:
    begin = "from pbdb.cli.shell import interrupts\ninterrupts.end_when_asked()\nprint('ready', flush=True)\n"
    with _started("-c", begin + STUCK[how]) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        code, _ = _interrupted(process, 0.1)
    assert code in (STOPPED, -signal.SIGINT)


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A screen that DESeq2 takes minutes for: 300 conditions of two wells, 2,000 genes."""
    folder = tmp_path_factory.mktemp("plates")
    chance = np.random.default_rng(1)
    wells = [(f"c{number:03}", "1", False) for number in range(300) for _ in range(2)] + [("DMSO", "", True)] * 24
    sheet = pd.DataFrame(wells, columns=["compound", "dose_um", "is_control"])
    sheet.insert(0, "sample_id", [f"s{number}" for number in range(len(sheet))])
    sheet.assign(plate="p1", time_h=24).to_csv(folder / "sheet.csv", index=False)
    counts = pd.DataFrame(chance.poisson(50, (2000, len(sheet))), columns=sheet["sample_id"])
    counts.insert(0, "gene_id", [f"ENSG{number:011}" for number in range(1, 2001)])
    counts.to_csv(folder / "counts.csv", index=False)
    return folder


@pytest.mark.parametrize("after", [0.5, 2, 6, 15])
def test_a_fit_ends_at_any_moment_and_leaves_nothing(plates: Path, tmp_path: Path, after: float) -> None:
    files = ("--matrix", str(plates / "counts.csv"), "--samples", str(plates / "sheet.csv"))
    run = ("de", "run", *files, "--readout", "counts", "--method", "deseq2", "--out", str(tmp_path / "out.parquet"))
    with _started("-m", "pbdb.cli", *run) as process:
        code, said = _interrupted(process, after)
    # A signal before the first line of pbdb is Python's own.
    assert code in (STOPPED, -signal.SIGINT) or "KeyboardInterrupt" in said, said
    assert not (tmp_path / "out.parquet").exists()
