"""The command line as a user calls it: a process of its own, with settings of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def call(home: Path, *arguments: str, check: bool = False, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run pbdb with PBDB_HOME set; with `check` it must succeed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PBDB_")}
    finished = subprocess.run(
        [sys.executable, "-m", "pbdb.cli", *arguments],
        env=own | {"PBDB_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
    assert not check or finished.returncode == 0, finished.stderr
    return finished
