"""Effects as long rows in Parquet shards, for training.

`data/<dataset>_<context>/shard_000000.parquet`, ... of at most 200,000 rows (dataset, context, perturbation, readout,
log_dose, time, value, se, n_treated, fold); beside `data`, so that nothing else is under it: `metadata/`, a file for
each folder with a row for each shard (its path below the root, size, the one fold it belongs to, what occurs in it),
`compounds.parquet` (names, SMILES, fingerprints) and `genes.parquet`.

In the published layout, which the published pretraining code reads, the folders lie at the top, each with `info.json`
(format version, rows of a shard) and `metadata.parquet`, and rows end with `value`. The types are the same in every
folder, for readers join the folders as they are.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common import output_files
from pbdb.common.errors import QueryError
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.exports import selection, shard_tables
from pbdb.exports.selection import Choice, Connection, FitChoice, Written

ROWS = 200_000
FORMAT_VERSION = 1
Key = Literal["pubchem_cid", "parent_inchikey", "inchikey"]
KEYS = {"pubchem_cid": "a PubChem CID", "parent_inchikey": "an InChIKey", "inchikey": "an InChIKey"}
FOLDS = {"validation": "val"}

SHARD = pa.schema(
    [(name, pa.string()) for name in ("dataset", "context", "perturbation", "readout")]
    + [(name, pa.float64()) for name in ("log_dose", "time", "value")]
)
# What the published layout has no column for.
BESIDES = [("se", pa.float64()), ("n_treated", pa.int32()), ("fold", pa.string())]
FULL = pa.schema([*SHARD, *(pa.field(*column) for column in BESIDES)])
METADATA = pa.schema(
    [
        ("shard_path", pa.string()),
        ("size", pa.int64()),
        ("split", pa.string()),
        ("context", pa.string()),
        ("datasets", pa.string()),
        ("perturbations", pa.list_(pa.string())),
        ("log_doses", pa.list_(pa.float64())),
        ("times", pa.list_(pa.float64())),
        ("readouts", pa.list_(pa.string())),
    ]
)


class Shards(Written):
    """What is told of shards: how many, by which split, and how many conditions were left out for which reason."""

    folders: int
    shards: int
    rows: int
    left_out: dict[str, int]
    split: str | None


def write(
    settings: Settings,
    choice: Choice,
    out: Path,
    key: Key = "pubchem_cid",
    split: str | None = None,
    progress: Progress = silent,
    *,
    published: bool = False,
) -> Shards:
    """Write the log2 fold changes of the chosen effects to a new folder; return counts of what was written.

    key: what names a perturbation; conditions without it, or without a dose above 0, are left out and counted, and
    genes without a value. split: name of a stored split: every shard then holds rows of one fold (validation is `val`
    there), and conditions outside the split are left out and counted; without one all is `train`. published: in the
    layout that the published pretraining code reads.

    Raises:
        QueryError: nothing fits the choice, no row is left, a dataset may not be passed on, or there is no such split.
        ConfigError: `out` exists or cannot be written.
    """
    left_out = {"no_perturbation": 0, "no_dose": 0, "not_in_split": 0}
    done = Shards(out=str(out), folders=0, shards=0, rows=0, left_out=left_out, split=split, bytes=0)
    with selection.snapshot(settings) as connection, output_files.folder(out) as part:
        folds = None if split is None else _folds(connection, split)
        chosen = selection.fits(connection, choice)
        for name, fits in groupby(chosen, lambda fit: (fit.facts["dataset"], fit.context_id)):
            folder = _Folder(part, "_".join(name), published=published)
            for fit in fits:
                usable = _usable(fit, key, folds, left_out)
                _add(folder, connection, usable, key, progress)
            folder.close(done)
        _require_rows(done["rows"], left_out, key, split)
        if not published:
            shard_tables.write(connection, part, key)
    done["bytes"] = output_files.size(out)
    return done


def reasons(left_out: dict[str, int], key: Key) -> str:
    """In words, how many conditions were left out for which reason; empty where none was."""
    words = {
        "no_perturbation": f"whose compound has no {KEYS[key].partition(' ')[2]}",
        "no_dose": "without a dose above 0",
        "not_in_split": "outside the split",
    }
    return ", ".join(f"{n:,} conditions {words[reason]}" for reason, n in left_out.items() if n)


def _require_rows(n_rows: int, left_out: dict[str, int], key: Key, split: str | None) -> None:
    if n_rows:
        return
    if not (left_out["no_dose"] or left_out["not_in_split"]):
        other = "choose other compounds" if key == "parent_inchikey" else "use --key parent_inchikey"
        raise QueryError(f"No compound here has {KEYS[key]}: {other}.")
    others = "--key, --split" if split else "--key"
    raise QueryError(f"No row is left for the shards ({reasons(left_out, key)}): choose another {others} or --dataset.")


def _folds(connection: Connection, split: str) -> pd.Series[Any]:
    table = selection.frame(connection, _FOLDS, {"split": split})
    if table.empty:
        raise QueryError(
            f"There is no split '{split}': `pbdb split list` shows them, `pbdb split make` makes one.", value=split
        )
    return table.set_index("condition_id")["fold"]


def _usable(fit: FitChoice, key: Key, folds: pd.Series[Any] | None, left_out: dict[str, int]) -> FitChoice:
    """The effects that have a perturbation, a dose and a fold; each of the others is counted under one reason."""
    effects = fit.effects
    fold = "train" if folds is None else effects["condition_id"].map(folds)
    effects = effects.assign(fold=fold, dose_um=effects["dose_um"].astype("float64"))
    reasons = {
        "no_perturbation": effects[key].isna(),
        "no_dose": ~(effects["dose_um"] > 0),
        "not_in_split": effects["fold"].isna(),
    }
    dropped = pd.Series(data=False, index=effects.index)
    for reason, bad in reasons.items():
        left_out[reason] += int((bad & ~dropped).sum())
        dropped |= bad
    return FitChoice(fit.facts, fit.genes, effects[~dropped])


def _add(folder: _Folder, connection: Connection, fit: FitChoice, key: Key, progress: Progress) -> None:
    readouts = fit.genes["gene_id"].to_numpy(dtype=object)
    step = max(1, ROWS // max(1, len(readouts)))
    for fold, effects in fit.effects.groupby("fold", sort=True):
        part = FitChoice(fit.facts, fit.genes, effects)
        named = FOLDS.get(str(fold), str(fold))
        for rows, arrays in selection.blocks(connection, part, ["log2_fc", "se"], step):
            folder.add(named, _long(part, rows, arrays, readouts, key, named))
            progress(f"{fit.facts['dataset']} {fit.context_text}", rows.stop, len(part.effects))


def _long(
    part: FitChoice,
    rows: slice,
    arrays: dict[str, npt.NDArray[np.float32]],
    readouts: npt.NDArray[np.object_],
    key: Key,
    fold: str,
) -> pa.Table:
    """One row for each effect and gene that has a value."""
    effects, facts = part.effects.iloc[rows], part.facts
    n_genes = len(readouts)
    values = arrays["log2_fc"].ravel()
    known = np.isfinite(values)
    effect = np.repeat(np.arange(len(effects), dtype=np.int32), n_genes)[known]
    gene = np.tile(np.arange(n_genes, dtype=np.int32), len(effects))[known]
    names = [str(int(name)) if key == "pubchem_cid" else str(name) for name in effects[key]]
    texts = {
        "dataset": _repeated(facts["dataset"], len(effect)),
        "context": _repeated(part.context_id, len(effect)),
        "perturbation": pa.array(names, pa.string()).take(pa.array(effect)),
        "readout": pa.array(readouts, pa.string()).take(pa.array(gene)),
        "fold": _repeated(fold, len(effect)),
    }
    numbers = {
        "log_dose": np.log10(effects["dose_um"].to_numpy(dtype=np.float64))[effect],
        "time": effects["time_h"].to_numpy(dtype=np.float64)[effect],
        "value": values[known].astype(np.float64),
        "se": arrays["se"].ravel()[known].astype(np.float64),
        "n_treated": effects["n_treated"].to_numpy(dtype=np.int32)[effect],
    }
    return pa.table(texts | {name: pa.array(column) for name, column in numbers.items()}, schema=FULL)


def _repeated(text: str, n: int) -> Any:
    return pa.array([text], pa.string()).take(pa.array(np.zeros(n, dtype=np.int32)))


class _Folder:
    """The shards of one dataset and context; rows wait until a shard of their fold is full."""

    def __init__(self, root: Path, name: str, *, published: bool):
        self._path = root / name if published else root / "data" / name
        self._root, self._published = root, published
        self._waiting: dict[str, list[pa.Table]] = {}
        self._metadata: list[pa.RecordBatch] = []  # as Arrow: the genes of thousands of shards

    def add(self, fold: str, rows: pa.Table) -> None:
        """Take rows of a fold, and write as many full shards as there are."""
        waiting = self._waiting.setdefault(fold, [])
        waiting.append(rows)
        if sum(len(table) for table in waiting) >= ROWS:
            joined = pa.concat_tables(waiting)
            full = len(joined) // ROWS * ROWS
            for start in range(0, full, ROWS):
                self._write(fold, joined.slice(start, ROWS))
            self._waiting[fold] = [joined.slice(full)]

    def close(self, done: Shards) -> None:
        """Write the shards that did not fill, and the files that describe them; add to the counts of `done`."""
        for fold, waiting in sorted(self._waiting.items()):
            rest = pa.concat_tables(waiting)
            if len(rest):
                self._write(fold, rest)
        if not self._metadata:
            return
        metadata = pa.Table.from_batches(self._metadata)
        if self._published:
            info = {"PDATA_FORMAT_VERSION": FORMAT_VERSION, "CONTEXT_MODULE_HASH": "", "SHARDSIZE": ROWS}
            (self._path / "info.json").write_text(json.dumps(info), encoding="utf-8")
            pq.write_table(metadata, self._path / "metadata.parquet")
        else:
            beside = self._root / "metadata"
            beside.mkdir(exist_ok=True)
            pq.write_table(metadata, beside / f"{self._path.name}.parquet")
        done["folders"] += 1
        done["shards"] += len(metadata)
        done["rows"] += sum(metadata["size"].to_pylist())

    def _write(self, fold: str, rows: pa.Table) -> None:
        self._path.mkdir(exist_ok=True, parents=True)
        name = f"shard_{len(self._metadata):06d}.parquet"
        shown = rows.select(SHARD.names) if self._published else rows
        pq.write_table(shown, self._path / name, compression="zstd")
        known = {column: sorted(rows[column].unique().to_pylist()) for column in ("perturbation", "log_dose", "time")}
        facts = {
            "shard_path": (self._path / name).relative_to(self._root).as_posix(),
            "size": len(rows),
            "split": fold,
            "context": rows["context"][0].as_py(),
            "datasets": rows["dataset"][0].as_py(),
            "perturbations": known["perturbation"],
            "log_doses": known["log_dose"],
            "times": known["time"],
            "readouts": rows["readout"].unique().to_pylist(),
        }
        self._metadata.append(pa.RecordBatch.from_pylist([facts], METADATA))


_FOLDS = """
SELECT m.condition_id, m.fold FROM core.split_member m JOIN core.split s USING (split_id) WHERE s.split = %(split)s"""
