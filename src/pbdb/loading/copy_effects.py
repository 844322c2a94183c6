"""COPY of stored fits into the effect tables, both orientations, in blocks without a loop over rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import Connection, text

from pbdb.common.progress import Progress
from pbdb.database import copy_binary
from pbdb.database.copy_text import copy_frame, cursor
from pbdb.database.effect_arrays import BY_EFFECT, N_LANDMARKS, OF_LIMMA
from pbdb.effects.stored_fit import BY_GENE, COUNTED, StoredFit

BYTES_PER_BLOCK = 64 << 20
GENES_PER_BLOCK = 256  # at least: each costs a page of every effect, which holds 1,024 genes
MIN_TESTED_FOR_LANDMARK = 500
LARGEST_T = 50.0
COUNTS = ("n_treated", "n_vehicle", "n_plates", "n_vehicle_same_plates")


def copy_effects(
    connection: Connection,
    name: str,
    key: int,
    fits: Sequence[StoredFit],
    progress: Progress,
    *,
    freeze: bool,
) -> None:
    """Copy the effects of fits into a table like `effect`, condition-major.

    key: of the dataset. freeze: the table was made or emptied in this transaction.
    """
    landmarks, encoder = _landmarks(connection), copy_binary.Encoder()
    for stored in fits:
        columns = list(_effect_columns(key, stored, slice(0, 0), landmarks))
        with cursor(connection) as open_cursor, open_cursor.copy(_copy_command(name, columns, freeze)) as copy:
            copy.write(copy_binary.HEADER)
            n_arrays = len(BY_EFFECT) + len(OF_LIMMA)
            for rows in _row_blocks(stored.n_ok, n_arrays * 8 * len(stored.gene_keys)):
                block = _effect_columns(key, stored, rows, landmarks)
                copy.write(encoder.rows(block, rows.stop - rows.start))
                progress(f"load effects of {stored.facts.context}", rows.stop, stored.n_ok)
            copy.write(copy_binary.TRAILER)
        copy_frame(connection, name, _without_arrays(key, stored), "FREEZE" if freeze else "")


def _copy_command(name: str, columns: Sequence[str], freeze: bool) -> str:
    return f"COPY {name} ({', '.join(columns)}) FROM STDIN (FORMAT binary, FREEZE {freeze})"


def _row_blocks(n_rows: int, bytes_per_row: int, least: int = 1) -> Iterator[slice]:
    step = max(least, BYTES_PER_BLOCK // max(1, bytes_per_row))
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def _effect_columns(
    key: int, stored: StoredFit, rows: slice, landmarks: dict[int, int]
) -> dict[str, copy_binary.Value]:
    table = stored.effects.iloc[rows]
    arrays = {name: stored.by_effect(name)[rows] for name in BY_EFFECT}
    limma = {name: stored.by_effect(name)[rows] if stored.tests_counts else None for name in OF_LIMMA}
    landmark_t, n_landmarks = _landmark_t(stored, arrays["log2_fc"], arrays["se"], landmarks)
    return {
        "dataset_id": key,
        "effect_id": table["effect_id"].to_numpy(dtype=np.int64),
        "fit_id": stored.facts.fit_id,
        "condition_id": table["condition_id"].to_numpy(dtype=np.int64),
        "sample_id": _pooled_or(table["sample_id"]),
        "status": "ok",
        **{name: table[name].to_numpy(dtype=np.int32) for name in COUNTS},
        "n_genes": table["n_genes"].to_numpy(dtype=np.int32),
        **{name: table[name].to_numpy(dtype=np.int32) for name in COUNTED},
        "n_landmarks": np.full(len(table), n_landmarks, dtype=np.int32),
        "null_spread": table["null_spread"].to_numpy(dtype=np.float32) if stored.tests_counts else None,
        **arrays,
        **limma,
        "landmark_t": landmark_t,
    }


def _pooled_or(samples: pd.Series[Any]) -> npt.NDArray[np.int64] | None:
    return None if samples.isna().all() else samples.to_numpy(dtype=np.int64)


def _landmark_t(
    stored: StoredFit, log2_fc: npt.NDArray[np.float32], se: npt.NDArray[np.float32], landmarks: dict[int, int]
) -> tuple[npt.NDArray[np.float16] | None, int]:
    """Moderated t of the landmark genes of pooled effects; None where fewer than 500 were tested."""
    keys = stored.gene_keys.tolist()
    tested = [(row, landmarks[key]) for row, key in enumerate(keys) if key in landmarks]
    if len(tested) < MIN_TESTED_FOR_LANDMARK or stored.facts.mode != "pooled":
        return None, len(tested)
    rows, places = (list(side) for side in zip(*tested, strict=True))
    values = np.zeros((len(log2_fc), N_LANDMARKS), dtype=np.float16)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.clip(log2_fc[:, rows] / se[:, rows], -LARGEST_T, LARGEST_T)
    values[:, places] = np.nan_to_num(t, nan=0.0)
    return values, len(tested)


def _without_arrays(key: int, stored: StoredFit) -> pd.DataFrame:
    """Rows of the effects that could not be estimated."""
    table = stored.effects.iloc[stored.n_ok :]
    return table[["effect_id", "condition_id", "sample_id", "status", *COUNTS]].assign(
        dataset_id=key, fit_id=stored.facts.fit_id
    )


def copy_gene_effects(connection: Connection, name: str, key: int, fits: Sequence[StoredFit], *, freeze: bool) -> None:
    """Copy the pooled effects of fits into a table like `gene_effect`, gene-major."""
    encoder = copy_binary.Encoder()
    for stored in fits:
        if stored.n_ok == 0 or stored.facts.mode != "pooled":
            continue
        with (
            cursor(connection) as open_cursor,
            open_cursor.copy(_copy_command(name, ["dataset_id", "gene_key", "fit_id", *BY_GENE], freeze)) as copy,
        ):
            copy.write(copy_binary.HEADER)
            for rows in _row_blocks(len(stored.gene_keys), len(BY_GENE) * 8 * stored.n_ok, GENES_PER_BLOCK):
                block: dict[str, copy_binary.Value] = {
                    "dataset_id": key,
                    "gene_key": stored.gene_keys[rows],
                    "fit_id": stored.facts.fit_id,
                    **{column: stored.by_gene(column, rows) for column in BY_GENE},
                }
                copy.write(encoder.rows(block, rows.stop - rows.start))
            copy.write(copy_binary.TRAILER)


def _landmarks(connection: Connection) -> dict[int, int]:
    rows = connection.execute(text("SELECT gene_key, landmark_index FROM core.gene WHERE landmark_index IS NOT NULL"))
    return {int(key): int(index) for key, index in rows}
