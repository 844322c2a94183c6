"""A login without superuser rights: what the door needs of an administrator, and what it then does by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from rows import add_genes, add_partitions, add_world
from support import external_server, throwaway_home

from pbdb.common.errors import SchemaError
from pbdb.common.settings import Settings
from pbdb.database import schema, tidy
from pbdb.server import connect


@pytest.fixture(params=[16, 18])
def administrator(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """The superuser of a server of its own, for roles belong to servers."""
    with throwaway_home() as home, external_server(home, request.param) as settings:
        yield settings


@pytest.fixture
def lab(administrator: Settings) -> Settings:
    """A login that may create roles and schemas, and nothing else."""
    _as_administrator(
        administrator, "CREATE ROLE lab LOGIN CREATEROLE PASSWORD 'sesame'", "GRANT CREATE ON DATABASE pbdb TO lab"
    )
    return replace(administrator, database_url=str(administrator.database_url).replace("postgres:sesame", "lab:sesame"))


def _as_administrator(administrator: Settings, *statements: str) -> None:
    with connect.connect(administrator, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_a_plain_login_builds_loads_and_checks(administrator: Settings, lab: Settings) -> None:
    with pytest.raises(SchemaError, match="let an administrator run CREATE EXTENSION vector SCHEMA public"):
        schema.upgrade(connect.engine(lab))
    _as_administrator(administrator, "CREATE EXTENSION vector SCHEMA public")
    engine = connect.engine(lab)
    schema.upgrade(engine)
    with engine.begin() as connection:
        add_genes(connection)
        add_world(connection, 1000, "open", is_redistributable=True)
    assert schema.check(engine) == []
    with connect.connect(lab, role="pbdb_public") as public:
        assert public.execute("SELECT count(*) FROM condition_effect").fetchone() == (2,)
    schema.downgrade(engine, "base")
    schema.upgrade(engine)


def test_another_login_may_load_and_replace_once_it_is_a_member(administrator: Settings, lab: Settings) -> None:
    _as_administrator(
        administrator, "CREATE EXTENSION vector SCHEMA public", "CREATE ROLE other LOGIN PASSWORD 'sesame'"
    )
    schema.upgrade(connect.engine(lab))
    other = replace(lab, database_url=str(lab.database_url).replace("lab:", "other:"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connect.connect(other) as connection:
        connection.execute("INSERT INTO core.gene (gene_key) VALUES (1)")
    _as_administrator(administrator, "GRANT pbdb_owner TO other")
    with connect.engine(other).begin() as loading:
        add_genes(loading)
        add_world(loading, 1000, "open")
    with connect.engine(lab).begin() as reloading:
        add_partitions(reloading, 1000)
    assert len(tidy.tidy(connect.engine(lab)).dropped) == 3


def test_roles_of_another_owner_are_asked_for(administrator: Settings, lab: Settings) -> None:
    _as_administrator(administrator, "CREATE EXTENSION vector SCHEMA public", "CREATE ROLE pbdb_owner")
    with pytest.raises(SchemaError, match="no member of the role pbdb_owner: let an administrator grant it"):
        schema.upgrade(connect.engine(lab))


def test_a_schema_of_another_program_is_left_alone(empty_database: Settings) -> None:
    _as_administrator(empty_database, "CREATE SCHEMA core")
    with pytest.raises(SchemaError, match=r"Schema 'core' belongs to '.*', not to pbdb_owner"):
        schema.upgrade(connect.engine(empty_database))
