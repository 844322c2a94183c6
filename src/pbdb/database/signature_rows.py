"""Signatures of a dataset, copied out of its effects into the one table that search reads.

A transaction that shows other effects of a dataset shows their signatures too: ordinary rows, so that whoever began
before sees the old ones. The index is another matter: it is told that it does not hold the new ones yet, and
`pbdb signature index` (query/signature_index.py) brings it up to date; until then they are compared one by one.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from pbdb.database import partitions
from pbdb.database.models import SCHEMA


def replace(connection: Connection, dataset_id: int, generation: int) -> None:
    """Make the signatures of a dataset those of a generation, whose fits stand in core.fit already."""
    own = {"dataset_id": dataset_id, "generation": generation}
    connection.execute(_DELETE, own)
    connection.execute(_DELETE_COUNTS, own)
    connection.execute(text(_INSERT.format(effects=partitions.partition("effect", generation))))
    connection.execute(_COUNT, own)


_DELETE = text(f"""
    DELETE FROM {SCHEMA}.signature
    WHERE fit_id IN (SELECT t.fit_id FROM {SCHEMA}.signature_fit t WHERE t.dataset_id = :dataset_id)""")
_DELETE_COUNTS = text(f"DELETE FROM {SCHEMA}.signature_fit WHERE dataset_id = :dataset_id")
_INSERT = f"""
    INSERT INTO {SCHEMA}.signature (effect_id, dataset_id, fit_id, condition_id, n_landmarks, landmark_t)
    SELECT e.effect_id, e.dataset_id, e.fit_id, e.condition_id, e.n_landmarks, e.landmark_t
    FROM {{effects}} e JOIN {SCHEMA}.fit f ON f.fit_id = e.fit_id AND f.is_default
    WHERE e.landmark_t IS NOT NULL"""
_COUNT = text(f"""
    INSERT INTO {SCHEMA}.signature_fit (fit_id, dataset_id, generation, n_signatures)
    SELECT s.fit_id, :dataset_id, :generation, count(*)
    FROM {SCHEMA}.signature s JOIN {SCHEMA}.fit f ON f.fit_id = s.fit_id AND f.dataset_id = :dataset_id
    GROUP BY s.fit_id""")
