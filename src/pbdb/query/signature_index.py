"""The index of signatures: one for all data sets, by which `signatures` finds candidates to compare exactly.

It holds short vectors: each signature, brought to length 1, on the principal axes of the signatures (a projection).
The axes stay while data sets come and go; when a good part of the signatures is new, all is made anew, axes too.
Nothing here keeps a load or a reader waiting: `signature_fit` says of which fits the index holds the present
signatures, loads take theirs out of it, and the signatures of others are compared one by one until this runs again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from pbdb.common.progress import Progress, silent
from pbdb.common.version import __version__
from pbdb.database import copy_binary
from pbdb.database.copy_text import cursor
from pbdb.database.effect_arrays import N_LANDMARKS
from pbdb.database.models import N_AXES
from pbdb.server import locks

Matrix = npt.NDArray[np.float32]
BUILD_MEMORY = "1GB"
PATIENCE = "1s"
ROWS_PER_BLOCK = 8192
LEARNT_FROM = 50_000  # signatures, drawn at random, that decide the axes
ENOUGH = 1000  # signatures that may be passed on: then the axes are theirs, and everybody may use the index
MADE_ANEW = 0.3  # share of new signatures from which the whole is made anew: row by row would take longer


@dataclass(frozen=True)
class Built:
    """What was indexed: the data sets whose signatures were not in the index, all there are in it now, and how long."""

    datasets: tuple[str, ...]
    n_signatures: int
    seconds: float
    is_anew: bool


class Fit(NamedTuple):
    """A fit with signatures: of which load they are, how many, and the projection the index holds them in."""

    fit_id: int
    generation: int
    n_signatures: int
    projection_id: int | None
    dataset: str
    is_open: bool


class LearntFrom(NamedTuple):
    """What the axes were learnt from, and the share of the signatures' variance that they explain."""

    datasets: list[str]
    n_signatures: int
    share_explained: float


def build(engine: Engine, *, rebuild: bool = False, progress: Progress = silent) -> Built:
    """Bring the index up to date; with rebuild make it anew though nothing is missing.

    Raises:
        ServerError: another process does the same.
    """
    start = time.monotonic()
    with locks.exclusive(engine, "signature index", "The signatures are being indexed by another process"):
        with engine.connect() as connection:
            fits = [Fit(*row) for row in connection.execute(_FITS)]
            newest = connection.execute(_NEWEST).scalar_one()
        _drop_old(engine)
        total = sum(fit.n_signatures for fit in fits)
        new = [fit for fit in fits if newest is None or fit.projection_id != newest]
        is_anew = bool(fits) and (rebuild or sum(fit.n_signatures for fit in new) > MADE_ANEW * total)
        if is_anew:
            _make(engine, new := fits, progress)
        elif new:
            _extend(engine, new, newest, progress)
    names = tuple(sorted({fit.dataset for fit in new}))
    return Built(names, total, time.monotonic() - start, is_anew)


def _make(engine: Engine, fits: Sequence[Fit], progress: Progress) -> None:
    """Make axes and index beside the ones in use, which go in the same moment as the new ones come."""
    axes, learnt_from = _learn(engine, fits)
    with engine.begin() as connection:
        parameters = {"axes": [_vector(axis) for axis in axes.T], "code_version": __version__}
        number = int(connection.execute(_ADD, learnt_from._asdict() | parameters).scalar_one())
        connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{BUILD_MEMORY}'")
        _project(engine, connection, fits, number, axes, progress)
        progress("index signatures", 0, None)
        connection.exec_driver_sql(_INDEX.format(number=number))
        _tell(connection, fits, number)
        connection.execute(_DELETE_OLD, {"number": number})
        connection.execute(_FORGET_OLD, {"number": number})
    _drop_old(engine)
    _vacuum(engine)


def _drop_old(engine: Engine) -> None:
    """Drop the indexes of projections that are gone; one that a reader uses stays for the next time."""
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            for name in connection.execute(_OLD).scalars().all():
                connection.exec_driver_sql(f"DROP INDEX {name}")
    except OperationalError as error:
        if not isinstance(error.orig, locks.BUSY):
            raise


def _extend(engine: Engine, new: Sequence[Fit], number: int, progress: Progress) -> None:
    """Add signatures to the index in use, in the place of those that their data sets had before."""
    with engine.begin() as connection:
        axes = np.array([_numbers(axis) for axis in connection.execute(_AXES, {"number": number}).scalar_one()]).T
        connection.execute(_DELETE_REPLACED, {"number": number})
        _project(engine, connection, new, number, axes, progress)
        _tell(connection, new, number)
    _vacuum(engine)


def _vacuum(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("projected_signature", "signature", "signature_fit"):
            connection.exec_driver_sql(f"VACUUM (ANALYZE, INDEX_CLEANUP AUTO) core.{table}")


def _learn(engine: Engine, fits: Sequence[Fit]) -> tuple[Matrix, LearntFrom]:
    """The principal axes of signatures drawn at random, as columns; and what they were learnt from."""
    open_fits = [fit for fit in fits if fit.is_open]
    chosen = open_fits if sum(fit.n_signatures for fit in open_fits) >= ENOUGH else fits
    n_there = sum(fit.n_signatures for fit in chosen)
    share = min(100.0, 100 * LEARNT_FROM / max(1, n_there))
    products, n = np.zeros((N_LANDMARKS, N_LANDMARKS), dtype=np.float64), 0
    sample = f"TABLESAMPLE SYSTEM ({share:.4f}) REPEATABLE (0)" if share < 100 else ""
    for _, values in _blocks(engine, chosen, sample):
        products += values.T @ values
        n += len(values)
    strengths, axes = np.linalg.eigh(products)
    chosen_axes = axes[:, ::-1][:, :N_AXES]
    explained = strengths[::-1][:N_AXES].sum() / max(strengths.sum(), 1e-30)
    learnt_from = LearntFrom(sorted({fit.dataset for fit in chosen}), n, float(np.clip(explained, 0, 1)))
    # As they are stored, or the query's coordinates would differ from those in the index.
    return chosen_axes.astype(np.float16).astype(np.float32), learnt_from


def _project(
    engine: Engine, connection: Connection, fits: Sequence[Fit], number: int, axes: Matrix, progress: Progress
) -> None:
    total, done = sum(fit.n_signatures for fit in fits), 0
    command = (
        "COPY core.projected_signature (projection_id, effect_id, dataset_id, fit_id, coordinates)"
        " FROM STDIN (FORMAT binary)"
    )
    with cursor(connection) as opened, opened.copy(command) as copy:
        copy.write(copy_binary.HEADER)
        for keys, values in _blocks(engine, fits):
            coordinates = (values @ axes).astype(np.float16)
            copy.write(copy_binary.rows({"projection_id": number, **keys, "coordinates": coordinates}, len(values)))
            done += len(values)
            progress("project signatures", min(done, total), total)
        copy.write(copy_binary.TRAILER)


def _blocks(
    engine: Engine, fits: Sequence[Fit], sample: str = ""
) -> Iterator[tuple[dict[str, copy_binary.Value], Matrix]]:
    """Keys and signatures of length 1, block after block; those that are 0 everywhere have no direction."""
    wanted = ", ".join(str(int(fit.fit_id)) for fit in fits)
    command = (
        f"COPY (SELECT effect_id, dataset_id, fit_id, landmark_t FROM core.signature {sample}"
        f" WHERE fit_id IN ({wanted})) TO STDOUT (FORMAT binary)"
    )
    columns: dict[str, npt.NDArray[Any]] = dict.fromkeys(
        ("effect_id", "dataset_id", "fit_id"), np.empty(0, dtype=np.int64)
    ) | {"landmark_t": np.empty((0, N_LANDMARKS), dtype=np.float16)}
    with engine.connect() as connection, cursor(connection) as opened, opened.copy(command) as copy:
        for block in copy_binary.Decoder().blocks(copy, columns, ROWS_PER_BLOCK):
            values = copy_binary.values(block, "landmark_t").astype(np.float32)
            lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
            kept = lengths > 0
            keys: dict[str, copy_binary.Value] = {
                name: copy_binary.values(block, name)[kept].astype(np.int64) for name in columns if name != "landmark_t"
            }
            yield keys, values[kept] / lengths[kept, None]


def _tell(connection: Connection, fits: Sequence[Fit], number: int) -> None:
    """Say that the index holds the fits, unless a load has replaced their signatures since they were counted."""
    rows = [{"number": number, "fit_id": fit.fit_id, "generation": fit.generation} for fit in fits]
    connection.execute(_TELL, rows)


def _vector(values: npt.NDArray[np.floating[Any]]) -> str:
    return "[" + ",".join(f"{value:.6g}" for value in values) + "]"


def _numbers(vector: Any) -> npt.NDArray[np.float32]:
    return np.array(str(vector).strip("[]").split(","), dtype=np.float32)


_FITS = text("""
    SELECT t.fit_id, t.generation, t.n_signatures, t.projection_id, d.dataset, d.is_redistributable
    FROM core.signature_fit t JOIN core.dataset d ON d.dataset_id = t.dataset_id ORDER BY d.dataset, t.fit_id""")
_NEWEST = text("SELECT max(projection_id) FROM core.signature_projection")
_ADD = text("""
    INSERT INTO core.signature_projection (axes, datasets, n_signatures, share_explained, code_version)
    VALUES (CAST(CAST(:axes AS text[]) AS public.halfvec[]), :datasets, :n_signatures, :share_explained, :code_version)
    RETURNING projection_id""")
_AXES = text("SELECT CAST(axes AS text[]) FROM core.signature_projection WHERE projection_id = :number")
_INDEX = (
    "CREATE INDEX signature_index_{number} ON core.projected_signature"
    " USING hnsw (coordinates public.halfvec_cosine_ops) WITH (ef_construction = 256) WHERE projection_id = {number}"
)
_TELL = text(
    "UPDATE core.signature_fit SET projection_id = :number WHERE fit_id = :fit_id AND generation = :generation"
)
_DELETE_OLD = text("DELETE FROM core.projected_signature WHERE projection_id <> :number")
_FORGET_OLD = text("DELETE FROM core.signature_projection WHERE projection_id <> :number")
_DELETE_REPLACED = text("""
    DELETE FROM core.projected_signature p WHERE NOT EXISTS (
        SELECT FROM core.signature_fit t WHERE t.fit_id = p.fit_id AND t.projection_id = :number)""")
_OLD = text("""
    SELECT format('%I.%I', n.nspname, x.relname)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
    JOIN pg_namespace n ON n.oid = x.relnamespace
    WHERE m.amname = 'hnsw' AND i.indrelid = 'core.projected_signature'::regclass AND x.relname NOT IN (
        SELECT 'signature_index_' || p.projection_id FROM core.signature_projection p)""")
