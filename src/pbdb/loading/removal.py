"""Take a dataset out of the database: what would go, and the deed."""

from __future__ import annotations

from pbdb.common.errors import QueryError, suggestion
from pbdb.common.settings import Settings
from pbdb.database.error_messages import require_loader
from pbdb.loading import publish
from pbdb.query import database
from pbdb.server import connect, locks

_DATASETS = "SELECT dataset FROM core.dataset ORDER BY dataset"
# What goes with a dataset, its matches and members of splits included, which point at its conditions.
_COUNTS = {
    "sample": "SELECT count(*) FROM core.sample WHERE dataset_id = %(key)s",
    "condition": "SELECT count(*) FROM core.condition WHERE dataset_id = %(key)s",
    "fit": "SELECT count(*) FROM core.fit WHERE dataset_id = %(key)s",
    "effect": "SELECT count(*) FROM core.effect WHERE dataset_id = %(key)s",
    "match": "SELECT count(*) FROM core.match WHERE %(key)s IN (dataset_id_a, dataset_id_b)",
    "split_member": "SELECT count(*) FROM core.split_member WHERE condition_id IN"
    " (SELECT condition_id FROM core.condition WHERE dataset_id = %(key)s)",
}


def plan(settings: Settings, dataset: str) -> dict[str, int]:
    """Count what would go with a dataset, by table.

    Raises:
        QueryError: it is not loaded.
    """
    database.ready(settings)
    with connect.connect(settings) as connection:
        known = [str(name) for (name,) in connection.execute(_DATASETS).fetchall()]
        if dataset not in known:
            raise QueryError(f"Dataset '{dataset}' is not loaded: {suggestion(dataset, known)}", dataset=dataset)
        row = connection.execute("SELECT dataset_id FROM core.dataset WHERE dataset = %s", [dataset]).fetchone()
        key = {"key": row[0] if row else None}
        counts = ((table, connection.execute(query.encode(), key).fetchone()) for table, query in _COUNTS.items())
        return {table: int(count[0]) for table, count in counts if count}


def remove(settings: Settings, dataset: str) -> None:
    """Take a dataset out of the database, unless a load of it runs; its ledger and its files stay.

    Raises:
        ServerError: it is being loaded, or a session keeps a lock.
    """
    engine = connect.engine(settings)
    with engine.connect() as connection:
        require_loader(connection)
    with locks.exclusive(engine, f"load {dataset}", f"Dataset '{dataset}' is being loaded by another process"):
        publish.remove(engine, dataset)
