"""What stages leave in the cache: sample tables and rows as Parquet, and a manifest that says a stage is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pbdb.common import output_files
from pbdb.database.copy_text import as_json
from pbdb.loading.table_rows import Tables


def mark(path: Path, report: Mapping[str, object]) -> None:
    """Write a manifest whole or not at all: a stage is done when its manifest is there."""
    output_files.write_text(path, json.dumps(report))


def forget(folder: Path) -> None:
    """Let every stage be done anew; what a dataset stands on stays until it is replaced, for further fits read it."""
    for name in ("transform.json", "validate.json"):
        (folder / name).unlink(missing_ok=True)
    for name in ("pooled", "fits", "further_fits"):
        shutil.rmtree(folder / name, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Keep the canonical matrix and its tables; the tiles of fits and earlier loads are no longer needed."""
    shutil.rmtree(folder / "fits", ignore_errors=True)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def write_samples(folder: Path, samples: pd.DataFrame) -> None:
    """Keep the canonical samples of a dataset."""
    _without_dicts(samples).to_parquet(folder / "samples.parquet")


def read_samples(folder: Path) -> pd.DataFrame:
    """Read what `write_samples` kept."""
    return _with_dicts(pd.read_parquet(folder / "samples.parquet"))


def write_tables(folder: Path, tables: Tables) -> None:
    """Keep the rows of a dataset's tables."""
    (folder / "tables").mkdir(exist_ok=True)
    for name, table in tables.items():
        kept = _without_dicts(table) if name == "sample" else table
        kept.to_parquet(folder / "tables" / f"{name}.parquet")


def read_tables(folder: Path) -> Tables:
    """Read what `write_tables` kept."""
    tables = {path.stem: pd.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}
    return tables | {"sample": _with_dicts(tables["sample"])}


def _without_dicts(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(attributes=samples["attributes"].map(as_json))


def _with_dicts(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(attributes=samples["attributes"].map(json.loads), flags=samples["flags"].map(list))
