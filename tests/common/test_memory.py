"""Peak memory of this process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pbdb.common import memory

BLOCK_MB = 200


def test_the_peak_of_what_was_held_and_given_back():
    memory.forget_peak()
    before = memory.peak_mb()
    np.ones(BLOCK_MB << 17)
    assert BLOCK_MB * 0.9 < memory.peak_mb() - before < BLOCK_MB * 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_a_stage_is_not_charged_for_the_one_before_it_nor_a_process_for_its_parent():
    held = np.ones(BLOCK_MB << 17)
    of_child = subprocess.run(
        [sys.executable, "-c", "from pbdb.common import memory; print(memory.peak_mb())"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert float(of_child.stdout) < BLOCK_MB
    del held
    before = memory.peak_mb()
    memory.forget_peak()
    assert memory.peak_mb() < before - BLOCK_MB * 0.5
