"""The embedded cluster's data folder: made, or brought from an older major version of PostgreSQL to this one.

server/data        the cluster
server/data.new    one being made; whatever a killed process left there is thrown away
server/data.old    the cluster of the older version, until the upgraded one has started
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from pathlib import Path

from pbdb.common.errors import ServerError
from pbdb.server import postgres_programs
from pbdb.server.postgres_programs import Account

log = logging.getLogger(__name__)

SUPERUSER = "postgres"


def make_ready(folder: Path, user: Account, version: int) -> Path:
    """See to a cluster of this version in folder/data; return the programs that serve it.

    Raises:
        ServerError: it cannot be made; it is of a newer version, or of an older one that cannot be upgraded.
    """
    data = folder / "data"
    programs = postgres_programs.programs_for(user, folder / "programs", version)
    made_by = _version(data)
    if made_by is None:
        init_cluster(programs, version, folder / "data.new", user)
        (folder / "data.new").rename(data)
    elif made_by > version:
        raise ServerError(
            f"The database in '{folder}' was made by PostgreSQL {made_by}, this pbdb has {version}: "
            "use the newer pbdb that made it, or set PBDB_HOME to another folder."
        )
    elif made_by < version:
        _upgrade(folder, user, made_by, version)
    return programs


def restore_interrupted(folder: Path) -> None:
    """Take the old cluster back when an upgrade was killed before the new one was in its place."""
    if (folder / "data.old").exists() and not (folder / "data").exists():
        (folder / "data.old").rename(folder / "data")


def forget_old(folder: Path) -> None:
    """Remove the older version's cluster; call it once the upgraded one has started."""
    if (folder / "data.old").exists():
        shutil.rmtree(folder / "data.old")


def init_cluster(programs: Path, version: int, data: Path, user: Account, *options: str) -> None:
    """Make an empty cluster in `data`, replacing what stands there: UTF-8, sorted by code point.

    Raises:
        ServerError: initdb failed; the sentence says why.
    """
    if data.exists():
        shutil.rmtree(data)
    data.mkdir(mode=0o700)
    user.own(data)
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version >= 17 else []
    argv: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        SUPERUSER,
        "-E",
        "UTF8",
        "--locale=C",
        *locale,
        "-A",
        "trust",
    ]
    done = postgres_programs.run([*argv, *options], user, data)
    if done.returncode:
        raise ServerError(f"The database could not be made in '{data.parent}': {_reason(done.stderr)}")


def _version(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        pass
    if data.exists() and any(data.iterdir()):
        raise ServerError(f"'{data}' is not empty, yet holds no PostgreSQL database: move what is there elsewhere.")
    return None


def _upgrade(folder: Path, user: Account, made_by: int, version: int) -> None:
    """Copy the cluster into one of this version; the old one stays until that has started."""
    log.warning(
        "Upgrading the database in '%s' from PostgreSQL %d to %d; the old one is kept until then.",
        folder,
        made_by,
        version,
    )
    try:
        older = postgres_programs.programs_for(user, folder / "programs", made_by)
    except ServerError:
        raise ServerError(
            f"The database in '{folder}' was made by PostgreSQL {made_by}, which this pbdb cannot read: back it up"
            " with the pbdb that made it (`pbdb db backup`), and restore that into a new PBDB_HOME."
        ) from None
    programs = postgres_programs.programs_for(user, folder / "programs", version)
    data, old, new = folder / "data", folder / "data.old", folder / "data.new"
    _shut_down(older, data, user)
    init_cluster(programs, version, new, user, *_checksum_option(older, data, user))
    data.rename(old)  # nobody must meet the temporary servers of pg_upgrade under the usual name
    try:
        _run_pg_upgrade(user, {"old": old, "new": new, "old_programs": older, "new_programs": programs})
    except BaseException:
        old.rename(data)
        raise
    new.rename(data)


def _shut_down(programs: Path, data: Path, user: Account) -> None:
    """Recover the cluster if its server was killed: pg_upgrade takes only one that was shut down."""
    done = postgres_programs.run([programs / "postgres", "--single", "-D", data, "template1"], user, data)
    if done.returncode:
        raise ServerError(f"The older database in '{data}' cannot be opened: {_reason(done.stderr)}")


def _checksum_option(programs: Path, data: Path, user: Account) -> list[str]:
    """Clusters were made without page checksums before PostgreSQL 18; both have to agree."""
    control = postgres_programs.run([programs / "pg_controldata", "-D", data], user).stdout
    return ["--no-data-checksums"] if re.search(r"checksum version:\s+0\b", control) else []


def _run_pg_upgrade(user: Account, places: dict[str, Path]) -> None:
    """Run pg_upgrade by short names in /tmp: it trips over long paths and quotes."""
    with tempfile.TemporaryDirectory(prefix="pbdb-", dir="/tmp") as temporary:
        work = Path(temporary)
        user.own(work)
        for name, place in places.items():
            (work / name).symlink_to(place)
        argv: list[str | Path] = [
            work / "new_programs/pg_upgrade",
            "-U",
            SUPERUSER,
            "-d",
            work / "old",
            "-D",
            work / "new",
        ]
        argv += ["-b", work / "old_programs", "-B", work / "new_programs", "-s", work]
        done = postgres_programs.run(argv, user, places["new"])
    if done.returncode:
        raise ServerError(
            f"The database in '{places['old'].parent}' could not be upgraded and is as it was: "
            f"{_reason(done.stdout + done.stderr)}"
        )
    (places["new"] / "delete_old_cluster.sh").unlink(missing_ok=True)


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|fatal|not match|does not|could not", line, re.IGNORECASE)]
    return (telling or lines or ["it gives no reason."])[-1].removeprefix("initdb: error: ")
