"""docs/beyond_one_machine.md shows the embedded server's settings as the code makes them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pbdb.server import cluster_settings


def test_the_page_has_the_settings_of_a_machine_of_64_gb(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_settings, "machine_memory", lambda: 64 << 30)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    made = dict(re.findall(r"(?m)^(\w+) = (.*)$", cluster_settings.settings_text(5432, Path("/run"), tcp=False)))
    page = (root / "docs/beyond_one_machine.md").read_text()
    rows = re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \|", page)
    shown = {name: value.strip() for name, value in rows if value.strip() != "default"}
    assert len(shown) > 10
    assert shown == {name: made[name] for name in shown}
