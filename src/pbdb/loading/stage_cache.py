"""What stages leave in the cache: sample tables and rows as Parquet, and a manifest that says a stage is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pbdb.common import output_files
from pbdb.database.copy_text import as_json

if TYPE_CHECKING:
    from pbdb.loading.table_rows import Tables

GONE = ".gone"  # ending of a folder that is being removed
MARKS = ("transform.json", "validate.json")


def mark(path: Path, report: Mapping[str, object], *made: Path) -> None:
    """Write a manifest whole or not at all: what the stage reports, and the files it made."""
    files = [str(file.relative_to(path.parent)) for file in made]
    output_files.write_text(path, json.dumps({"report": report, "files": files}))


def is_done(path: Path) -> bool:
    """Whether a stage is done: its manifest is there, and every file that it stands for."""
    if not path.is_file():
        return False
    files = json.loads(path.read_text(encoding="utf-8")).get("files")
    return files is not None and all((path.parent / name).is_file() for name in files)


def discard(folder: Path) -> None:
    """Remove a folder; killed meanwhile, what is left of it bears a name under which nobody looks for it."""
    if not folder.name.endswith(GONE):
        gone = folder.with_name(folder.name + GONE)
        shutil.rmtree(gone, ignore_errors=True)
        try:
            folder = folder.rename(gone)
        except FileNotFoundError:
            return
    shutil.rmtree(folder, ignore_errors=True)


def forget(folder: Path) -> None:
    """Let every stage be done anew; what a dataset stands on stays until it is replaced, for further fits read it."""
    for name in MARKS:
        (folder / name).unlink(missing_ok=True)
    for name in ("pooled", "fits", "further_fits"):
        discard(folder / name)


def tidy(folder: Path) -> None:
    """Keep the canonical matrix and its tables; the tiles of fits and earlier loads are no longer needed."""
    discard(folder / "fits")
    for other in folder.parent.iterdir():
        if other != folder:
            discard(other)


def write_samples(folder: Path, samples: pd.DataFrame) -> Path:
    """Keep the canonical samples of a dataset; return the file."""
    _without_dicts(samples).to_parquet(folder / "samples.parquet")
    return folder / "samples.parquet"


def read_samples(folder: Path) -> pd.DataFrame:
    """Read what `write_samples` kept."""
    return _with_dicts(pd.read_parquet(folder / "samples.parquet"))


def write_tables(folder: Path, tables: Tables) -> list[Path]:
    """Keep the rows of a dataset's tables; return the files."""
    (folder / "tables").mkdir(exist_ok=True)
    for name, table in tables.items():
        kept = _without_dicts(table) if name == "sample" else table
        kept.to_parquet(folder / "tables" / f"{name}.parquet")
    return [folder / "tables" / f"{name}.parquet" for name in tables]


def read_tables(folder: Path) -> Tables:
    """Read what `write_tables` kept."""
    tables = {path.stem: pd.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}
    return tables | {"sample": _with_dicts(tables["sample"])}


def _without_dicts(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(attributes=samples["attributes"].map(as_json))


def _with_dicts(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(attributes=samples["attributes"].map(json.loads), flags=samples["flags"].map(list))
