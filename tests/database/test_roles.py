"""Terms of use: what pbdb_public and pbdb_reader see, through everything the catalog lists."""

from __future__ import annotations

import pytest
from rows import add_genes, add_learning, add_match, add_world
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from pbdb.database.models import Base
from pbdb.database.models.policies import VISIBLE
from pbdb.exports.snapshots import arrow_schemas
from pbdb.server.connect import OWNER, PUBLIC, READER

OPEN, CLOSED = 1000, 7000
VOCABULARY = {"gene", "gene_replacement", "gene_synonym", "vocabulary"}


@pytest.fixture
def worlds(connection: Connection) -> Connection:
    """An open and a closed dataset, and one more open, matched with each other."""
    add_genes(connection)
    add_world(connection, OPEN, "open", is_redistributable=True)
    add_world(connection, 3000, "open_too", is_redistributable=True)
    add_learning(connection, OPEN, ["open", "open_too"])
    add_world(connection, CLOSED, "closed")
    add_learning(connection, CLOSED, ["open", "closed"])
    add_match(connection, OPEN, 3000)
    add_match(connection, OPEN, CLOSED)
    return connection


def _become(connection: Connection, role: str) -> None:
    connection.exec_driver_sql(f"SET LOCAL ROLE {role}")


def _relations(connection: Connection, kinds: str = "rpvm") -> list[str]:
    query = """SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname IN ('core', 'part', 'pbdb') AND CAST(relkind AS text) = ANY (:kinds) ORDER BY 1"""
    return list(connection.execute(text(query), {"kinds": list(kinds)}).scalars())


def _readable(connection: Connection, relation: str, query: str) -> list[str] | None:
    """Rows as text, or None where the role may not look."""
    try:
        with connection.begin_nested():
            return [row[0] for row in connection.exec_driver_sql(query.format(relation))]
    except ProgrammingError as error:
        assert "permission denied" in str(error)
        return None


def test_public_sees_no_trace_of_a_closed_dataset_in_any_relation(worlds: Connection) -> None:
    relations = _relations(worlds)
    _become(worlds, PUBLIC)
    for relation in relations:
        for row in _readable(worlds, relation, "SELECT x::text FROM {} x") or []:
            # Every key of the closed world is 7000 and something, and so are its names.
            assert not any(word in row for word in ("closed", *(str(CLOSED + n) for n in range(70)))), relation


# Copies that search reads; who sees which of them is asked in test_public_role and in tests/query.
OF_SEARCH = tuple(f"core.{name}" for name in arrow_schemas.OF_SEARCH)


def test_public_sees_the_open_datasets_in_every_relation(worlds: Connection) -> None:
    relations = _relations(worlds)
    _become(worlds, PUBLIC)
    for relation in relations:
        rows = _readable(worlds, relation, "SELECT 'row' FROM {} LIMIT 1")
        if relation.startswith("part."):
            assert rows is None
        elif relation not in ("core.gene_replacement", "core.gene_synonym", "core.vocabulary", *OF_SEARCH):
            assert rows, relation


def test_reader_sees_as_many_rows_as_the_owner(worlds: Connection) -> None:
    relations = [name for name in _relations(worlds) if not name.startswith("part.")]
    _become(worlds, OWNER)
    owner = [_readable(worlds, name, "SELECT count(*) FROM {}") for name in relations]
    _become(worlds, READER)
    assert [_readable(worlds, name, "SELECT count(*) FROM {}") for name in relations] == owner


def test_functions_show_public_what_it_may_see(worlds: Connection) -> None:
    def found(text_: str) -> list[tuple[object, ...]]:
        query = text("SELECT compound_name, datasets FROM pbdb.find_compound(:text)")
        return [tuple(row) for row in worlds.execute(query, {"text": text_})]

    assert found("drug 7000")
    _become(worlds, PUBLIC)
    assert found("drug 7000") == []
    assert found("saha") == [("vorinostat", ["open", "open_too"])]


@pytest.mark.parametrize("role", [READER, PUBLIC])
def test_readers_write_nothing(worlds: Connection, role: str) -> None:
    relations = [name for name in _relations(worlds) if not name.startswith("pbdb.")]
    tables = _relations(worlds, "rp")
    assert {"core.effect", "part.effect"} <= set(relations) and "part.effect" in tables
    _become(worlds, role)
    for relation in relations:
        assert _readable(worlds, relation, "DELETE FROM {} RETURNING 'x'") is None, relation
    for table in tables:
        assert _readable(worlds, table, "TRUNCATE {}") is None, table
    assert _readable(worlds, "core.mine", "CREATE TABLE {} (x int)") is None


def test_every_table_has_policies_or_is_vocabulary(connection: Connection) -> None:
    query = """SELECT relname, relrowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) FROM pg_class c
        WHERE relnamespace IN ('core'::regnamespace, 'part'::regnamespace) AND relkind IN ('r', 'p')
        AND NOT relispartition AND relname <> 'alembic_version'"""
    found = {name: (enabled, policies) for name, enabled, policies in connection.execute(text(query))}
    assert set(found) == {table.name for table in Base.metadata.tables.values()}
    assert {name for name, (enabled, _) in found.items() if not enabled} == VOCABULARY
    assert {name for name, rules in found.items() if rules == (True, 2)} == set(VISIBLE)


def test_views_and_functions_run_with_the_rights_of_whoever_asks(connection: Connection) -> None:
    views = """SELECT relname FROM pg_class WHERE relnamespace = 'pbdb'::regnamespace AND relkind = 'v'
        AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)"""
    functions = "SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text IN ('pbdb', 'core') AND prosecdef"
    assert connection.execute(text(views)).scalars().all() == []
    assert connection.execute(text(functions)).scalars().all() == []


def test_only_the_owner_enters_the_partitions(connection: Connection) -> None:
    query = text("SELECT has_schema_privilege(CAST(:role AS name), 'part', 'USAGE')")
    assert [connection.execute(query, {"role": role}).scalar() for role in (OWNER, READER, PUBLIC)] == [
        True,
        False,
        False,
    ]


def test_readers_have_limits(connection: Connection) -> None:
    query = text("SELECT rolconfig FROM pg_roles WHERE rolname = :role")
    for role in (READER, PUBLIC):
        limits = connection.execute(query, {"role": role}).scalar_one()
        assert "statement_timeout=5min" in limits
        assert "idle_in_transaction_session_timeout=10min" in limits
        assert any(limit.startswith("temp_file_limit=") for limit in limits)
