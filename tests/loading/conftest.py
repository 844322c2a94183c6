"""Loaded databases, and drafts of declarations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import screen_files
from loads import loaded, release, settings, truth, with_driad, with_genes  # noqa: F401

from pbdb.loading import draft_source


@pytest.fixture
def draft(tmp_path: Path) -> Callable[..., draft_source.Written]:
    """Write both files and the declaration of a screen."""

    def done(table: pd.DataFrame | None = None, values: pd.DataFrame | None = None, **options: object):
        (screen_files.sheet() if table is None else table).to_csv(tmp_path / "sheet.csv", index=False)
        (screen_files.counts() if values is None else values).to_csv(tmp_path / "counts.tsv", sep="\t")
        given = {"technology": "DRUG-seq"} | options
        return draft_source.write(tmp_path / "screen.py", tmp_path / "counts.tsv", tmp_path / "sheet.csv", **given)

    return done
