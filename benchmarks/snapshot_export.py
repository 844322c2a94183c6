"""Time to write all effects as Parquet, against reading and throwing away the same rows by COPY BINARY.

    python benchmarks/snapshot_export.py                # 411,514 conditions x 978 genes
    python benchmarks/snapshot_export.py --conditions 20000
    python benchmarks/snapshot_export.py --home /var/lib/pbdb       # of a database that is there

Both read the same database over the same client. Ours decodes, compresses (zstd), hashes and writes besides. The last
line is JSON; ratio is our throughput over the peer's.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import lines
from many_effects import FULL, database
from queries import home

from pbdb.common.progress import silent
from pbdb.common.settings import Settings
from pbdb.exports.snapshots import effects_parquet
from pbdb.exports.snapshots.database_state import frozen
from pbdb.server import connect

PEER = "COPY (SELECT * FROM core.effect) TO STDOUT (FORMAT binary)"


def discard(settings: Settings) -> int:
    """Read every row of effect and forget it; return the bytes."""
    n_bytes = 0
    with connect.connect(settings) as connection, connection.cursor() as cursor, cursor.copy(PEER) as copy:
        while piece := copy.read():
            n_bytes += len(piece)
    return n_bytes


def export(settings: Settings, folder: Path) -> int:
    """Write every effect to Parquet; return the bytes."""
    with frozen(settings) as state:
        written = effects_parquet.write(state, lambda fit, key: True, folder, {}, silent)
        return sum(file.bytes for _, _, file in written)


def size(settings: Settings) -> tuple[int, int]:
    """Effects, and the most genes that one has."""
    query = (
        "SELECT count(*), max(s.n_genes) FROM core.effect e JOIN core.fit f ON f.fit_id = e.fit_id "
        "JOIN core.feature_set s ON s.feature_set_id = f.feature_set_id"
    )
    with connect.connect(settings) as connection:
        n_effects, n_genes = connection.execute(query).fetchall()[0]
    return int(n_effects), int(n_genes)


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Seconds it took, and what it gave."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    """Fill a database, read it, export it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", type=int, default=FULL)
    parser.add_argument("--genes", type=int, default=978)
    parser.add_argument("--home", type=Path, help="export the effects of this home, and fill none")
    chosen = parser.parse_args()
    filled = nullcontext(Settings(home=home(chosen.home))) if chosen.home else database(chosen.conditions, chosen.genes)
    with filled as settings, tempfile.TemporaryDirectory(prefix="pbdb-export-", dir=chosen.home) as out:
        n_conditions, n_genes = size(settings)
        peer, n_copied = timed(lambda: discard(settings))
        ours, n_written = timed(lambda: export(settings, Path(out)))
    print(f"COPY BINARY, discarded   {peer:8.2f} s  {n_copied / peer / 1e6:8.0f} MB/s of COPY")
    print(f"Parquet                  {ours:8.2f} s  {n_copied / ours / 1e6:8.0f} MB/s of COPY, {n_written:,} bytes")
    print(f"load average {os.getloadavg()[0]:.1f}")
    line = {"name": "snapshot_export", "ours": ours, "peer": peer, "peer_name": "COPY BINARY read and discarded"}
    sizes = {"conditions": n_conditions, "genes": n_genes, "copied_mb": n_copied // 10**6}
    lines.report(line | {"ratio": peer / ours, "sizes": sizes})


if __name__ == "__main__":
    main()
