"""Servers for tests: throw-away homes, the embedded server in them, and a server that plays the external one."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pbdb.common.settings import Settings
from pbdb.server import cluster_data, connect, postgres_programs
from pbdb.server.cluster import Cluster

Child = Callable[..., "subprocess.Popen[str]"]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")


@contextmanager
def throwaway_home(name: str = "home") -> Iterator[Path]:
    """A PBDB_HOME that the server's user may enter (pytest's tmp_path is closed to it when root runs the tests)."""
    folder = Path(tempfile.mkdtemp(prefix="pbdb-test-"))
    folder.chmod(0o755)
    try:
        yield folder / name
    finally:
        Cluster(folder / name).stop(immediately=True)
        shutil.rmtree(folder)


@contextmanager
def running_server(home: Path) -> Iterator[Settings]:
    """The embedded server of this home, which never waits for the disk; yields settings that lead to it."""
    settings = Settings(home=home)
    _start_quickly(Cluster(home))
    try:
        yield settings
    finally:
        connect.stop(settings, immediately=True)


@contextmanager
def external_server(home: Path, version: int = 18) -> Iterator[Settings]:
    """A PostgreSQL of the wheel (18 or 16) over TCP with a password; yields settings with its URL, superuser login."""
    cluster = Cluster(home, version)
    parameters = _start_quickly(cluster, free_port())
    try:
        with psycopg.connect(make_conninfo("", **parameters), autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres PASSWORD 'sesame'")
        url = f"postgresql://postgres:sesame@127.0.0.1:{parameters['port']}/pbdb"
        yield Settings(home=home, database_url=url)
    finally:
        cluster.stop(immediately=True)


def free_port() -> int:
    """A TCP port of loopback that nobody listens on at this moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
    return port


def prepare(cluster: Cluster) -> None:
    """Make the cluster without waiting for the disk; its server never waits for it, and tidies up only when told to."""
    cluster.folder.mkdir(parents=True)
    (cluster.folder / "local.conf").write_text("fsync = off\nfull_page_writes = off\nautovacuum = off\n")
    subprocess.run(["cp", "-a", _template(cluster.version), cluster.data], check=True)


@cache
def _template(version: int) -> Path:
    """An empty cluster, made once for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="pbdb-test-template-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    user = postgres_programs.account(folder / "data")
    programs = postgres_programs.programs_for(user, folder / "programs", version)
    cluster_data.init_cluster(programs, version, folder / "data", user, "--no-sync")
    return folder / "data"


def _start_quickly(cluster: Cluster, port: int | None = None) -> dict[str, str]:
    if not cluster.folder.exists():
        prepare(cluster)
    return cluster.start(port)
