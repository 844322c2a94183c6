"""docker-compose.yml: what a server for several users needs, and nothing open to the network."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import external_server, throwaway_home

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.query import database
from pbdb.server import connect


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "docker-compose.yml").read_text()


@pytest.fixture(scope="module")
def services(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def test_plain_start_brings_the_database_alone(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "profiles" not in service] == ["postgres"]
    assert services["metabase"]["profiles"] == ["bi"]
    assert services["serve"]["profiles"] == ["serve"]


def test_images_are_pinned(services: dict[str, Any]) -> None:
    assert services["postgres"]["image"] == "pgvector/pgvector:pg18"
    tags = [service["image"].rpartition(":")[2] for service in services.values() if "image" in service]
    assert all(re.fullmatch(r"pg\d+|v\d+\.\d+\.\d+", tag) for tag in tags)


def test_every_port_is_bound_to_loopback(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service["ports"]]
    assert len(ports) == 3 and all(port.startswith("127.0.0.1:") for port in ports)


def test_data_lie_in_named_volumes_where_images_from_18_on_want_them(text: str, services: dict[str, Any]) -> None:
    mounts = dict(mount.split(":") for service in services.values() for mount in service.get("volumes", []))
    assert mounts["database"] == "/var/lib/postgresql"
    assert set(mounts) == set(yaml.safe_load(text)["volumes"])


def test_every_service_has_a_healthcheck(services: dict[str, Any]) -> None:
    assert all({"test", "interval", "timeout", "retries"} <= set(s["healthcheck"]) for s in services.values())
    assert "pg_isready --host=127.0.0.1" in services["postgres"]["healthcheck"]["test"][1]
    assert services["metabase"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_password_comes_from_the_environment(services: dict[str, Any]) -> None:
    environment = services["postgres"]["environment"]
    assert environment["POSTGRES_PASSWORD"] == "${PBDB_ADMIN_PASSWORD:-${PBDB_PASSWORD:-pbdb}}"
    assert environment["PBDB_PASSWORD"] == "${PBDB_PASSWORD:-pbdb}"


def test_the_address_in_the_comment_is_that_of_the_service(text: str, services: dict[str, Any]) -> None:
    found = re.search(r"PBDB_DATABASE_URL=postgresql://(\w+):(\w+)@127\.0\.0\.1:(\d+)/(\w+)", text)
    assert found is not None
    environment = services["postgres"]["environment"]
    assert found.groups() == ("pbdb", "pbdb", "5432", environment["POSTGRES_DB"])


def test_the_login_of_pbdb_owns_the_database_and_is_no_superuser(text: str, services: dict[str, Any]) -> None:
    assert services["postgres"]["configs"][0]["source"] == "owner"
    script = yaml.safe_load(text)["configs"]["owner"]["content"]
    with throwaway_home() as home, external_server(home) as administrator:
        command, environment = connect.psql_command(administrator, ["-X", "-q", "--set=ON_ERROR_STOP=1"])
        subprocess.run(command, env=environment | {"PBDB_PASSWORD": "o'pen"}, input=script.encode(), check=True)
        url = str(administrator.database_url).replace("postgres:sesame", "pbdb:o'pen")
        owner = Settings(home=home, database_url=url)
        schema.upgrade(connect.engine(owner))
        assert schema.check(connect.engine(owner)) == []
        assert schema.check(connect.engine(administrator)) == []
        assert database.connect(owner).sql("SELECT count(*) AS n FROM compound")["n"][0] == 0
        with connect.connect(owner) as connection:
            row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = session_user").fetchone()
            assert row == (False,)
            connection.execute("SELECT pg_advisory_xact_lock(1)")


def test_the_server_is_set_for_bulk_loads(services: dict[str, Any]) -> None:
    command = services["postgres"]["command"]
    options = dict(word.split("=") for word in command if "=" in word)
    assert (options["wal_level"], options["max_wal_senders"], options["max_wal_size"]) == ("minimal", "0", "8GB")
    assert command[0] == "postgres" and command[1::2] == ["-c"] * len(options)


def test_what_the_public_reaches_can_write_nothing(services: dict[str, Any]) -> None:
    service = services["serve"]
    assert "--public" in service["command"]
    assert service["environment"]["PBDB_DATABASE_URL"].startswith("postgresql://pbdb_web:")
    assert service["read_only"] is True
    assert "USER nobody" in service["build"]["dockerfile_inline"]
