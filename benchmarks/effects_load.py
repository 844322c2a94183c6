"""Time to load all effects in both orientations from a snapshot, against COPY BINARY of the same bytes.

    python benchmarks/effects_load.py                # 411,514 conditions x 978 genes; takes 60 GB of disk
    python benchmarks/effects_load.py --conditions 20000

Ours reads Parquet, makes rows of both orientations, indexes and attaches them, in one transaction, and analyses them.
The peer sends the same rows, as COPY TO wrote them, into plain tables without index, on the same server. The last line
is JSON; ratio is our throughput over the peer's.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import lines
from many_effects import FULL, database
from sqlalchemy import URL

from pbdb.common.progress import Silent
from pbdb.common.settings import Settings
from pbdb.exports.snapshots import build, restore
from pbdb.server import connect

TABLES = ("effect", "gene_effect")
CHUNK = 8 << 20


class Watch(Silent):
    """Notes when the small tables were done."""

    started = 0.0

    def stage(self, stage: str, message: str) -> None:
        """Start the clock after the tables."""
        if stage == "tables":
            self.started = time.perf_counter()


def other_database(settings: Settings, name: str) -> Settings:
    """Make an empty database on the same server."""
    with connect.connect(settings, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    parameters = connect.ensure_running(settings).parameters | {"dbname": name}
    address = URL.create("postgresql", query=parameters).render_as_string(hide_password=False)
    return Settings(home=settings.home / name, database_url=address)


def plain(settings: Settings, folder: Path) -> tuple[float, int]:
    """Seconds to copy the rows of both tables into plain ones, and their bytes."""
    seconds, n_bytes = 0.0, 0
    with connect.connect(settings) as connection, connection.cursor() as cursor:
        for table in TABLES:
            path = folder / table
            with (
                path.open("wb") as file,
                cursor.copy(f"COPY (SELECT * FROM core.{table}) TO STDOUT (FORMAT binary)") as copy,
            ):
                while piece := copy.read():
                    file.write(piece)
            connection.commit()
            start = time.perf_counter()
            # In the transaction of the COPY, which then needs no write-ahead log.
            cursor.execute(f"CREATE TABLE part.plain (LIKE core.{table} INCLUDING STORAGE)".encode())
            with path.open("rb") as file, cursor.copy("COPY part.plain FROM STDIN (FORMAT binary)") as copy:
                while chunk := file.read(CHUNK):
                    copy.write(chunk)
            connection.commit()
            seconds += time.perf_counter() - start
            n_bytes += path.stat().st_size
            path.unlink()
            cursor.execute("DROP TABLE part.plain")
            connection.commit()
    return seconds, n_bytes


def main() -> None:
    """Fill a database, export it, load it elsewhere, copy it plainly, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", type=int, default=FULL)
    parser.add_argument("--genes", type=int, default=978)
    chosen = parser.parse_args()
    with database(chosen.conditions, chosen.genes) as settings:
        folder = settings.home.parent
        build.export(settings, str(folder / "release"), build.Choices("benchmark"))
        peer, n_bytes = plain(settings, folder)
        watch = Watch()
        restore.load(other_database(settings, "loaded"), folder / "release", watch)
        ours = time.perf_counter() - watch.started
    print(f"COPY BINARY, plain tables      {peer:8.2f} s  {n_bytes / peer / 1e6:8.0f} MB/s")
    print(f"snapshot, both orientations    {ours:8.2f} s  {n_bytes / ours / 1e6:8.0f} MB/s of the same")
    print(f"load average {os.getloadavg()[0]:.1f}")
    line = {"name": "effects_load", "ours": ours, "peer": peer, "peer_name": "COPY BINARY of the same rows, no index"}
    sizes = {"conditions": chosen.conditions, "genes": chosen.genes, "copied_mb": n_bytes // 10**6}
    lines.report(line | {"ratio": peer / ours, "sizes": sizes})


if __name__ == "__main__":
    main()
