"""Conditions written as rows, to be matched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rows import add_dataset, insert
from sqlalchemy import Connection, Engine, text

from pbdb.common.settings import Settings
from pbdb.server import connect

Row = tuple[str, str, int, float]
Writer = Callable[[Connection, str, list[Row]], list[int]]


@pytest.fixture
def engine(database: Settings) -> Engine:
    """To a database at head of the test's own."""
    return connect.engine(database)


@pytest.fixture
def write() -> Writer:
    """Writes a dataset: compound, context, dose (fM) and time of each condition; returns the ids of conditions."""
    return _write


def _write(connection: Connection, dataset: str, conditions: list[Row], **terms: object) -> list[int]:
    base = 1000 * (1 + connection.execute(text("SELECT count(*) FROM core.dataset")).scalar_one())
    add_dataset(connection, base, dataset, **terms)
    compounds = {name: base + place for place, name in enumerate(sorted({row[0] for row in conditions}), start=1)}
    for name, key in compounds.items():
        _ensure(connection, "compound", name)
        written = {"source_compound_id": key, "dataset_id": base, "source_key": name, "name": name}
        insert(connection, "source_compound", written | {"compound_id": _key(name), "resolved_by": "name"})
    ids = []
    for place, (compound, context, dose, time) in enumerate(conditions, start=200):
        _ensure(connection, "context", context)
        what = {"source_compound_id": compounds[compound], "context_id": _key(context), "dose_fm": dose, "time_h": time}
        stratum = {"stratum": str(place), "is_vehicle": dose == 0, "n_samples": 1}
        ids.append(base + place)
        insert(connection, "condition", {"condition_id": base + place, "dataset_id": base} | what | stratum)
    return ids


def _key(name: str) -> int:
    return int.from_bytes(name.encode()[:6], "big")


def _ensure(connection: Connection, table: str, name: str) -> None:
    facts = {
        "compound": "(compound_id, inchikey, parent_inchikey, skeleton, pubchem_cid, name) VALUES"
        " (:key, :name || '-SALT', split_part(:name, '.', 1), left(:name, 1), :key, lower(:name))",
        "context": "(context_id, context, context_name, kind, organism)"
        " VALUES (:key, :name, :name, 'cell_line', 'human')",
    }
    connection.execute(
        text(f"INSERT INTO core.{table} {facts[table]} ON CONFLICT DO NOTHING"), {"key": _key(name), "name": name}
    )
