"""The embedded PostgreSQL: one cluster under PBDB_HOME/server, made on first use and started on need.

server/data            the cluster, 0700, of the user the server runs as
server/run             the socket's folder, 0700; in /tmp where this path is too long or has odd characters
server/postgres.conf   our settings, written at each start; server/local.conf may add to them
server/start.lock      held while somebody starts, stops or upgrades the server
server/alive.lock      held by every process of the running server, wherever it runs
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from pbdb.common.errors import ConfigError, ServerError
from pbdb.server import cluster_data, cluster_processes, cluster_settings, postgres_programs
from pbdb.server.cluster_data import SUPERUSER
from pbdb.server.cluster_settings import DATABASE, LOOPBACK
from pbdb.server.postgres_programs import Account

log = logging.getLogger(__name__)

GRACE_S = 5.0
ORPHAN_GRACE_S = 1.0
STOP_S = 600.0


@dataclass(frozen=True)
class Postmaster:
    """What a running server says of itself in postmaster.pid; `tcp` is false while it listens on its socket alone."""

    pid: int
    port: int
    sockets: str
    tcp: bool


@dataclass(frozen=True)
class Cluster:
    """The cluster under one home, run by this major version of PostgreSQL."""

    home: Path
    version: int = postgres_programs.MAJOR

    @property
    def folder(self) -> Path:
        """Everything of the server."""
        return self.home / "server"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def log_file(self) -> Path:
        """What the server says; of the run before it in postgres.log.1."""
        return self.folder / "postgres.log"

    # Looking

    def postmaster(self) -> Postmaster | None:
        """What postmaster.pid says, be it true or stale.

        Raises:
            ServerError: the home belongs to another user.
        """
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            raise ServerError(
                f"The database in '{self.home}' belongs to another user: run as that user or as root, "
                "or set PBDB_HOME to a folder of your own."
            ) from None
        if len(lines) < 6:
            return None
        return Postmaster(int(lines[0]), int(lines[3]), lines[4], tcp=bool(lines[5].strip()))

    def parameters(self, database: str = DATABASE) -> dict[str, str] | None:
        """Connection parameters of the superuser over the socket; None without a postmaster.pid."""
        running = self.postmaster()
        if running is None:
            return None
        return {"host": running.sockets, "port": str(running.port), "user": SUPERUSER, "dbname": database}

    def answering(self) -> dict[str, str] | None:
        """Connection parameters, if a connection with them succeeds now."""
        parameters = self.parameters()
        if parameters is None:
            return None
        try:
            psycopg.connect(make_conninfo("", **parameters), connect_timeout=10).close()
        except psycopg.OperationalError:
            return None
        return parameters

    def alive(self) -> bool:
        """Whether any process of the server still runs, here or on another machine that shares the home."""
        try:
            with open(self.folder / "alive.lock", "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        return False

    def tcp_port(self) -> int | None:
        """The TCP port wished for by the last `start`."""
        try:
            return int((self.folder / "port").read_text())
        except FileNotFoundError:
            return None

    # Starting

    def ensure_running(self) -> dict[str, str]:
        """Start the server if it does not answer; return connection parameters.

        Raises:
            ServerError: it cannot be started; the sentence says why.
        """
        return self.answering() or self.start()

    def start(self, port: int | None = None) -> dict[str, str]:
        """Start the server; with a port also on loopback TCP, from now on (0: no longer).

        Raises:
            ServerError: it cannot be started, the port is taken, or sessions are open that a restart would end.
        """
        self._prepare()
        with self._locked():
            running = self._settled()
            if port is not None and not (running and (port or None) == self._listening()):
                _refuse_port(port)
                if running:
                    self._refuse_if_busy()
                    self._stop(signal.SIGINT)
                    running = False
            if port is not None:
                self._wish_port(port)
            if not running:
                self._launch_or_say_why()
            self._ensure_database()
        return self._answer()

    def stop(self, *, immediately: bool = False) -> bool:
        """Shut the server down and wait for its end; False if none was running.

        Raises:
            ServerError: it does not end, or belongs to another user.
        """
        if self.postmaster() is None and not self.alive():
            return False
        with self._locked():
            return self._stop(signal.SIGQUIT if immediately else signal.SIGINT)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.folder / "start.lock", "ab", opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("Waiting for another process that starts or stops the server of '%s'.", self.home)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _answer(self) -> dict[str, str]:
        parameters = self.parameters()
        if parameters is None:
            raise ServerError(f"The server of '{self.home}' ended right after its start: see '{self.log_file}'.")
        return parameters

    def _listening(self) -> int | None:
        running = self.postmaster()
        return running.port if running and running.tcp else None

    def _prepare(self) -> None:
        """Make the home and server/, which the server's user may enter though not write to."""
        try:
            for folder in reversed([f for f in (self.home, *self.home.parents) if not f.exists()]):
                folder.mkdir(exist_ok=True)  # another process may start it first at the same time
                if os.geteuid() == 0:
                    folder.chmod(0o755)
            self.folder.mkdir(exist_ok=True)
            if self.folder.stat().st_uid == os.geteuid():
                self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise ServerError(
                f"The database's folder '{self.home}' cannot be used ({error.strerror}): make it writable, "
                "or set PBDB_HOME to another folder."
            ) from None

    def _launch_or_say_why(self) -> None:
        try:
            self._launch()
        except OSError as error:
            raise ServerError(f"The server of '{self.home}' cannot be started: {error}.") from None

    def _launch(self) -> None:
        cluster_data.restore_interrupted(self.folder)
        user = postgres_programs.account(self.data)
        self._refuse_unreachable(user)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        programs = cluster_data.make_ready(self.folder, user, self.version)
        cluster_settings.write(self.folder, user, self._usable_port())
        self._run_server(user, programs)
        cluster_data.forget_old(self.folder)

    def _refuse_unreachable(self, user: Account) -> None:
        blocking = postgres_programs.blocking_folder(self.folder, user)
        if blocking:
            raise ServerError(
                f"User '{user.name}', who runs the server, may not enter '{blocking}': set PBDB_HOME to a folder that "
                f"all users may enter, such as /var/lib/pbdb, or allow it yourself with `chmod o+x '{blocking}'`."
            )

    def _usable_port(self) -> int | None:
        port = self.tcp_port()
        if port is None or _is_free(port):
            return port
        log.warning("Port %d is taken by another program: the server starts without TCP.", port)
        return None

    def _wish_port(self, port: int) -> None:
        if port == 0:
            (self.folder / "port").unlink(missing_ok=True)
        else:
            cluster_settings.write_file(self.folder / "port", f"{port}\n")

    def _run_server(self, user: Account, programs: Path) -> None:
        argv: list[str | Path] = [programs / "postgres", "-D", self.data]
        argv += ["-c", f"config_file={self.folder / 'postgres.conf'}", "-c", f"hba_file={self.folder / 'access.conf'}"]
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with (
            open(self.folder / "alive.lock", "ab", opener=_private) as alive,
            open(self.log_file, "wb", opener=_private) as output,
        ):
            fcntl.flock(alive, fcntl.LOCK_EX)
            process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=postgres_programs.ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[alive.fileno()],
                umask=0o077,
                **user.popen(),
            )
        while process.poll() is None and self._ping() != pq.Ping.OK:
            time.sleep(0.02)
        if process.returncode is not None:
            raise ServerError(f"PostgreSQL did not start: {self._last_words()}")
        process.returncode = 0  # it outlives us: not ours to wait for

    def _ping(self) -> pq.Ping:
        parameters = self.parameters()
        if parameters is None:
            return pq.Ping.NO_RESPONSE
        return pq.Ping(pq.PGconn.ping(make_conninfo("", **parameters, connect_timeout=10).encode()))

    def _last_words(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        telling = [line for line in lines if re.search("FATAL|PANIC|error", line)] or lines or ["it said nothing."]
        return re.sub(r"^.*?(FATAL|PANIC):\s*", "", telling[-1])

    def _ensure_database(self) -> None:
        parameters = self._answer() | {"dbname": "postgres"}
        try:
            with psycopg.connect(make_conninfo("", **parameters), autocommit=True) as connection:
                existing = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
                if not existing.rowcount:
                    connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        except psycopg.OperationalError as error:
            raise ServerError(f"The server of '{self.home}' runs, but says: {str(error).strip()}") from None

    def _refuse_if_busy(self) -> None:
        query = """SELECT string_agg(DISTINCT format('%s (pid %s)', nullif(application_name, ''), pid), ', ')
            FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""
        deadline = time.monotonic() + 1  # a session just closed is still listed for some milliseconds
        with psycopg.connect(make_conninfo("", **self._answer()), autocommit=True) as connection:
            while (row := connection.execute(query).fetchone()) and row[0] and time.monotonic() < deadline:
                time.sleep(0.05)
        if row and row[0]:
            raise ServerError(
                f"A changed port needs a restart of the server, which would end open sessions: {row[0]}. "
                "Close them, or run `pbdb db stop` first."
            )

    # Ending

    def _settled(self) -> bool:
        """Wait until the server answers (True), or until nothing of it is left (False)."""
        since = time.monotonic()
        while self.alive() or self._processes():
            ping = self._ping()
            if ping == pq.Ping.OK:
                return True
            if ping == pq.Ping.REJECT:  # it starts, recovers or stops, which may take its time
                since = time.monotonic()
            if time.monotonic() - since > (GRACE_S if self._has_postmaster() else ORPHAN_GRACE_S):
                self._end_leftovers()
            time.sleep(0.02)
        return False

    def _has_postmaster(self) -> bool:
        running = self.postmaster()
        return running is not None and running.pid in self._processes()

    def _end_leftovers(self) -> None:
        """End the processes that a killed postmaster left behind; they would block the next start."""
        running, left = self.postmaster(), self._processes()
        if running and self._has_postmaster():
            raise ServerError(
                f"The server of '{self.home}' runs (pid {running.pid}) but its socket in '{running.sockets}' does not "
                "answer: run `pbdb db stop`, then try again."
            )
        if not left:
            if not self.alive():  # the last of them ended by itself meanwhile
                return
            raise ServerError(
                f"The database in '{self.home}' is in use by a server on another machine or in another container: "
                "stop it there."
            )
        log.warning("The server of '%s' was killed: ending the %d processes it left.", self.home, len(left))
        for pid in left:
            cluster_processes.send(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 2 * GRACE_S
        while self._processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._processes():
            raise ServerError(f"Processes {self._processes()} of a killed server in '{self.home}' go on: kill them.")

    def _processes(self) -> list[int]:
        """Processes of the server, or of an upgrade that was left alone."""
        if os.path.isdir("/proc/self"):
            folders = (self.data, self.data.with_suffix(".new"), self.data.with_suffix(".old"))
            return [pid for folder in folders for pid in cluster_processes.standing_in(folder)]
        running = self.postmaster()
        return [running.pid] if running and cluster_processes.exists(running.pid) else []

    def _stop(self, how: signal.Signals) -> bool:
        server, left = self.postmaster(), self._processes()
        if server is None or server.pid not in left:
            self._settled()
            return False
        cluster_processes.send(server.pid, how)
        deadline, pid = time.monotonic() + STOP_S, server.pid
        while self.alive() or pid in self._processes():
            if time.monotonic() > deadline:
                raise ServerError(f"The server of '{self.home}' (pid {pid}) does not end: see '{self.log_file}'.")
            time.sleep(0.02)
        with suppress(OSError):
            os.rmdir(server.sockets)  # it may lie in /tmp
        return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _refuse_port(port: int) -> None:
    if not 0 <= port <= 65535:
        raise ConfigError(f"Port {port} does not exist: choose one from 1024 to 65535.")
    if port and not _is_free(port):
        raise ServerError(f"Port {port} of {LOOPBACK} is taken by another program: choose another with --port.")


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
