"""One state of the database for a whole export: two connections that see the same snapshot, whatever others write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from re import findall
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import URL

from pbdb.common.errors import SnapshotError
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.common.sql_text import literal
from pbdb.database.models import SCHEMA
from pbdb.database.models.policies import VISIBLE
from pbdb.exports.snapshots import arrow_schemas
from pbdb.server import connect

if TYPE_CHECKING:
    import pyarrow as pa

# What pbdb_public may see, with more of what the chosen datasets refer to, so that no foreign key leads nowhere.
_OF_SOURCES = "SELECT s.compound_id FROM core.source_compound s"
RULES: Mapping[str, str] = VISIBLE | {
    "compound": f"compound_id IN ({_OF_SOURCES}) OR replaced_by IN ({_OF_SOURCES}) OR compound_id IN"
    " (SELECT r.replaced_by FROM public_compound r JOIN core.source_compound s USING (compound_id))",
    "context": "context_id IN (SELECT c.context_id FROM core.condition c) OR context_id IN"
    " (SELECT s.context_id FROM core.sample s) OR context_id IN (SELECT f.context_id FROM core.fit f)",
    "etl_run": f"{VISIBLE['etl_run']} AND status = 'done'",
}


@dataclass(frozen=True)
class Frozen:
    """Connections that see one state: `main` for COPY, `arrow` (ADBC) for tables of the chosen datasets.

    In `arrow` every table of core stands once more in pg_temp, with the rows of the chosen datasets only.
    """

    main: psycopg.Connection[tuple[Any, ...]]
    arrow: Any
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]
    included_by_name: tuple[str, ...]

    def table(self, query: str) -> pa.Table:
        """Run a query over tables of any size that fits memory."""
        with self.arrow.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    @contextmanager
    def batches(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """Run a query and give its rows as they come."""
        with self.arrow.cursor() as cursor:
            cursor.execute(query)
            yield cursor.fetch_record_batch()

    def rows(self, query: str) -> list[Row]:
        """Run a query over few rows."""
        return list(self.table(query).to_pylist())


@contextmanager
def frozen(settings: Settings, include: Sequence[str] = ()) -> Iterator[Frozen]:
    """Open one state of the database; changes that others commit meanwhile are not seen.

    include: datasets to take though their terms do not allow passing them on.

    Raises:
        SnapshotError: a name in `include` is not loaded, or no dataset is left.
    """
    import adbc_driver_postgresql.dbapi as adbc

    parameters = connect.ensure_running(settings).parameters
    uri = URL.create("postgresql", query=parameters).render_as_string(hide_password=False)
    with connect.connect(settings, application_name="pbdb export") as main, adbc.connect(uri) as arrow:
        main.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = main.execute("SELECT pg_export_snapshot()").fetchone()
        chosen, left_out, named = _choose(main, include)
        _run(arrow, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _run(arrow, f"SET TRANSACTION SNAPSHOT '{row[0] if row else ''}'")
        _run(arrow, "SET LOCAL TimeZone = 'UTC'")
        for statement in _visible_tables(chosen):
            _run(arrow, statement)
        yield Frozen(main, arrow, chosen, left_out, named)


def require_datasets(settings: Settings, include: Sequence[str] = ()) -> None:
    """Refuse, before any work, what `frozen` would refuse.

    Raises:
        SnapshotError: a name in `include` is not loaded, or no dataset is left.
    """
    with connect.connect(settings, application_name="pbdb export") as connection:
        _choose(connection, include)


def _choose(
    main: psycopg.Connection[tuple[Any, ...]], include: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    terms = dict(main.execute('SELECT dataset, is_redistributable FROM core.dataset ORDER BY dataset COLLATE "C"'))
    unknown = sorted(set(include) - set(terms))
    if unknown:
        raise SnapshotError(
            f"Dataset '{unknown[0]}' is not loaded: `pbdb etl status` lists what can be included.", dataset=unknown[0]
        )
    chosen = tuple(name for name, is_open in terms.items() if is_open or name in include)
    if not chosen:
        raise SnapshotError(
            "The database holds no dataset that may be passed on: load one, or name the datasets with --include where"
            " their terms allow what you mean to do."
        )
    left_out = tuple(name for name in terms if name not in chosen)
    return chosen, left_out, tuple(name for name in chosen if not terms[name])


def _visible_tables(datasets: Sequence[str]) -> Iterator[str]:
    """SQL that makes each table of core anew in pg_temp, showing what belongs to the datasets."""
    names = ", ".join(map(literal, datasets))
    rules = dict(RULES) | {"dataset": f"dataset IN ({names})"}
    yield f"CREATE TEMP VIEW public_compound AS SELECT * FROM {SCHEMA}.compound"
    wanted = [table.name for table in arrow_schemas.tables()]
    uses = {name: set(findall(r"core\.(\w+)", rules.get(name, ""))) - {name} for name in wanted}
    for name in TopologicalSorter(uses).static_order():
        where = rules.get(name, "true").replace("core.", "pg_temp.")
        yield f"CREATE TEMP VIEW {name} AS SELECT * FROM {SCHEMA}.{name} WHERE {where}"


def _run(arrow: Any, statement: str) -> None:
    with arrow.cursor() as cursor:
        cursor.execute(statement)
