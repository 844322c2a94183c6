"""Where effects are read from: the database, or a snapshot; the same questions, the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute as pc

from pbdb.common.settings import Settings
from pbdb.database import copy_binary
from pbdb.exports import selection
from pbdb.exports.snapshots.reader import Snapshot

ROWS_AT_ONCE = 2048

Values = npt.NDArray[np.float32]


class Origin(TypedDict):
    """What was read: database, snapshot (its release and fingerprint) or files (their names)."""

    kind: str
    release: NotRequired[str]
    fingerprint: NotRequired[str]
    files: NotRequired[list[str]]


class EffectsOf(Protocol):
    """A place of effects: rows of a query, and arrays of a fit's effects."""

    effects: str

    def frame(self, query: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Rows of a query over the tables of core; parameters as %(name)s."""

    def arrays(
        self, fit: Mapping[str, int], effect_ids: Sequence[int], name: str, n_genes: int, *, limma: bool = True
    ) -> Values:
        """One statistic of some effects of a fit, in order of effect_id: effects x genes.

        limma: p values are limma's, whatever others the fit has; without, those it shows first.
        """

    def origin(self) -> Origin:
        """What was read."""

    def close(self) -> None:
        """Close it."""


def opened(settings: Settings, snapshot: Path | None) -> EffectsOf:
    """Open a snapshot, or else the database as a reader.

    Raises:
        SnapshotError, ServerError, SchemaError: it cannot be used.
    """
    return OfSnapshot(snapshot) if snapshot else OfDatabase(settings)


class OfDatabase:
    """Effects of the database, in one state of it."""

    effects = "core.fit f JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id"

    def __init__(self, settings: Settings):
        self._stack = ExitStack()
        self._connection = self._stack.enter_context(selection.snapshot(settings))

    def frame(self, query: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Rows of a query."""
        return selection.frame(self._connection, query, dict(parameters or {}))

    def arrays(
        self, fit: Mapping[str, int], effect_ids: Sequence[int], name: str, n_genes: int, *, limma: bool = True
    ) -> Values:
        """One statistic of some effects."""
        parts, layout = [], {name: np.empty((0, n_genes), dtype=np.float32)}
        for start in range(0, len(effect_ids), ROWS_AT_ONCE):
            key = [fit["dataset_id"], fit["fit_id"], list(effect_ids[start : start + ROWS_AT_ONCE])]
            has_other = limma and name in selection.HAVE_LIMMA
            column = f"coalesce(e.{name}_limma, e.{name})" if has_other else f"e.{name}"
            with self._connection.cursor().copy(_ARRAYS.format(column=column), key) as copy:
                rows = copy_binary.decode(b"".join(bytes(piece) for piece in copy), layout)
            parts.append(rows[name]["value"].astype(np.float32))
        return np.vstack(parts)

    def origin(self) -> Origin:
        """What was read."""
        return {"kind": "database"}

    def close(self) -> None:
        """End the state of the database."""
        self._stack.close()


class OfSnapshot:
    """Effects of a snapshot."""

    effects = "core.fit f JOIN core.default_effect e ON e.fit_id = f.fit_id"

    def __init__(self, folder: Path):
        self._snapshot = Snapshot(folder)

    def frame(self, query: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Rows of a query."""
        return self._snapshot.sql(query, parameters)

    def arrays(
        self, fit: Mapping[str, int], effect_ids: Sequence[int], name: str, n_genes: int, *, limma: bool = True
    ) -> Values:
        """One statistic of some effects."""
        has_other = limma and name in selection.HAVE_LIMMA and self._has_limma()
        column = f"coalesce({name}_limma, {name})" if has_other else name
        query = f"SELECT {column} AS {name} FROM core.default_effect"
        query += " WHERE fit_id = $fit AND list_contains($ids, effect_id)"
        given = {"fit": int(fit["fit_id"]), "ids": list(effect_ids)}
        table: Any = self._snapshot.connection.sql(f"{query} ORDER BY effect_id", params=given).to_arrow_table()
        return np.asarray(pc.list_flatten(table[name]).to_numpy(), np.float32).reshape(-1, n_genes)

    def _has_limma(self) -> bool:
        """Whether the snapshot is of a version that knows p values of counts, with limma's beside them."""
        columns = self._snapshot.connection.execute("DESCRIBE core.default_effect").fetchall()
        return "neg_log10_p_limma" in {row[0] for row in columns}

    def origin(self) -> Origin:
        """What was read."""
        content = self._snapshot.manifest
        return {"kind": "snapshot", "release": content["release"], "fingerprint": content["fingerprint"]}

    def close(self) -> None:
        """Close the file."""
        self._snapshot.close()


_ARRAYS = """
COPY (SELECT {column} FROM core.effect e WHERE e.dataset_id = %s AND e.fit_id = %s AND e.effect_id = ANY(%s)
ORDER BY e.effect_id) TO STDOUT (FORMAT binary)"""
