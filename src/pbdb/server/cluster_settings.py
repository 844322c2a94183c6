"""The embedded server's configuration files, made for this machine."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from pbdb.common.errors import ServerError
from pbdb.server.postgres_programs import Account

DATABASE = "pbdb"
LOOPBACK = "127.0.0.1"
SOCKET_PORT = 5432
LONGEST_SOCKET_FOLDER = 80  # an address of a socket holds 107 bytes, on macOS 103

ACCESS_RULES = """\
# Only the server's user and root can enter the socket's folder; TCP is loopback and wants a password.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""

MB = 1024 * 1024
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def write(folder: Path, user: Account, port: int | None) -> None:
    """Write the server's settings and access rules into its folder, which no server uses now; no port: no TCP.

    Raises:
        ServerError: somebody else took the name of the socket's folder.
    """
    sockets = _socket_folder(folder, user)
    for left in sockets.glob(".s.PGSQL.*"):
        left.unlink()
    write_file(folder / "postgres.conf", settings_text(port or SOCKET_PORT, sockets, tcp=port is not None))
    write_file(folder / "access.conf", ACCESS_RULES)


def write_file(path: Path, text: str) -> None:
    """Write a file whole; everybody may read it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
    os.replace(file.name, path)


def settings_text(port: int, sockets: Path, *, tcp: bool) -> str:
    """postgres.conf: bulk loads without replication, many partitions, a machine shared with the fits."""
    memory = machine_memory() // MB
    workers = min(os.cpu_count() or 1, 4)
    return f"""\
# Written by pbdb at each start; put settings of your own into local.conf beside this file.
port = {port}
listen_addresses = '{LOOPBACK if tcp else ""}'
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'

wal_level = minimal
max_wal_senders = 0
max_wal_size = 8GB
checkpoint_timeout = 15min

shared_buffers = {_between(memory // 8, 128, 2048)}MB
effective_cache_size = {_between(memory // 2, 256, 65536)}MB
work_mem = {_between(memory // 256, 16, 64)}MB
maintenance_work_mem = {_between(memory // 16, 64, 1024)}MB
autovacuum_work_mem = 128MB
dynamic_shared_memory_type = {_shared_memory_type()}
max_locks_per_transaction = 256

jit = off
random_page_cost = 1.1
max_parallel_workers_per_gather = {workers}
max_parallel_maintenance_workers = {workers}

log_min_messages = warning
log_min_error_statement = panic
log_line_prefix = '%m [%p] '
log_timezone = 'UTC'
timezone = 'UTC'
lc_messages = 'C'

include_if_exists = 'local.conf'
"""


def _socket_folder(server: Path, user: Account) -> Path:
    """A folder of 0700 whose path is short and needs no quoting."""
    folder = server / "run"
    if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER or not re.fullmatch(r"[A-Za-z0-9/._-]+", str(folder)):
        digest = hashlib.sha256(os.fsencode(server.resolve())).hexdigest()[:16]
        folder = Path("/tmp") / f"pbdb-{user.uid}-{digest}"
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700)
        user.own(folder)
    facts = folder.lstat()
    if facts.st_uid != user.uid or (facts.st_mode & 0o170777) != 0o040700:
        raise ServerError(f"'{folder}', the folder of the server's socket, belongs to somebody else: remove it.")
    return folder


def machine_memory() -> int:
    """Memory this process may use, in bytes: the machine's, or the container's limit."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [Path(file).read_text().strip() for file in CGROUP_LIMITS if os.path.exists(file)]
    return min([physical, *(int(limit) for limit in limits if limit.isdecimal())])


def _between(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def _shared_memory_type() -> str:
    """Containers often have a /dev/shm of 64 MB, where parallel queries would fail."""
    try:
        shm = os.statvfs("/dev/shm")
    except OSError:
        return "posix" if os.uname().sysname == "Darwin" else "mmap"
    return "posix" if shm.f_blocks * shm.f_frsize >= 1024 * MB else "mmap"
