"""What row-level security costs: the same rows asked as the owner (no policies), as pbdb_reader and as pbdb_public.

    python benchmarks/row_security.py                     # 20,000 conditions x 978 genes in four data sets
    python benchmarks/row_security.py --conditions 400000 # the compendium's number; about 20 GB of disk

Half of the data sets may not be passed on. Every query is asked for open ones only, so that all three roles get the
same rows, and its number is compared. The budget is 10 % or 5 ms, whichever is more; the exit code is 1 where it is
missed. The peer is the owner; the last line is JSON.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import lines
import numpy as np
import pandas as pd
import psycopg
from made_up_effects import Made, write

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.matches import match_table
from pbdb.server import connect
from pbdb.server.connect import OWNER, PUBLIC, READER

CONTEXTS, DOSES = 6, (10**8, 10**9, 10**10)
NAMES = ("open_a", "open_b", "closed_a", "closed_b")
OPEN = "dataset IN ('open_a', 'open_b')"
ROLES = (OWNER, READER, PUBLIC)
Connection = psycopg.Connection[tuple[object, ...]]


def simulate(name: str, n_conditions: int, n_genes: int, seed: int) -> Made:
    """Return a dataset whose compounds, contexts and doses are those of all others."""
    place = np.arange(n_conditions)
    conditions = {
        "compound": [f"C{number:06}" for number in place // (CONTEXTS * len(DOSES))],
        "context": [f"CVCL:{number:04}" for number in place % CONTEXTS],
        "dose_fm": np.array(DOSES)[place // CONTEXTS % len(DOSES)],
    }
    values = np.random.default_rng(seed).standard_normal((n_conditions, n_genes), dtype=np.float32)
    keys = np.arange(1, n_genes + 1, dtype=np.int32)
    return Made(name, pd.DataFrame(conditions).assign(time_h=24.0), keys, values, np.full_like(values, 0.3))


def queries(connection: Connection) -> dict[str, str]:
    """The benchmark queries, on open datasets."""
    (effect,) = connection.execute(f"SELECT effect_id FROM effect WHERE {OPEN} LIMIT 1").fetchone() or (0,)
    (match,) = connection.execute(
        "SELECT match_id FROM matched_condition WHERE dataset_a = 'open_a' AND dataset_b = 'open_b' LIMIT 1"
    ).fetchone() or (0,)
    gene = "gene_id = 'ENSG00000000500'"
    return {
        "one signature": f"SELECT * FROM condition_effect WHERE effect_id = {effect}",
        "a compound in a context": "SELECT * FROM condition_effect WHERE compound_name = 'C000007'"
        f" AND context = 'CVCL:0003' AND {OPEN}",
        "one gene in a context": f"SELECT * FROM gene_response WHERE {gene} AND context = 'CVCL:0003' AND {OPEN}",
        "one gene everywhere": f"SELECT * FROM gene_response WHERE {gene} AND {OPEN}",
        "top 50 of one gene": f"SELECT * FROM gene_response WHERE {gene} AND {OPEN} ORDER BY p_adj LIMIT 50",
        "coverage": f"SELECT * FROM coverage WHERE {OPEN}",
        "conditions of a compound": f"SELECT * FROM condition WHERE compound_name = 'C000007' AND {OPEN}",
        "find a compound": "SELECT compound_name FROM find_compound('c000007')",
        "one match": f"SELECT * FROM matched_effect WHERE match_id = {match}",
        "matches of a compound": "SELECT * FROM matched_condition WHERE compound_name = 'C000007'"
        " AND dataset_a = 'open_a' AND dataset_b = 'open_b'",
        "one gene over all matches": f"SELECT * FROM matched_gene WHERE {gene}"
        " AND dataset_a = 'open_a' AND dataset_b = 'open_b'",
        "LIMIT 100 of condition_effect": "SELECT * FROM condition_effect LIMIT 100",
    }


def measure(settings: Settings, times: int) -> pd.DataFrame:
    """Median milliseconds of each query by role, asked in turns; every role gets the same number of rows."""
    connections = {role: connect.connect(settings, role=role) for role in ROLES}
    try:
        asked = queries(connections[OWNER])
        rows = []
        for what, query in asked.items():
            took: dict[str, list[float]] = {role: [] for role in ROLES}
            for turn in range(times + 1):
                counts = {role: _ask(connections[role], query, took[role] if turn else []) for role in ROLES}
                if len(set(counts.values())) > 1 or not counts[OWNER]:
                    raise SystemExit(f"'{what}' gives {counts} rows")
            rows.append(
                {"query": what, "rows": counts[OWNER]} | {role: statistics.median(took[role]) for role in ROLES}
            )
    finally:
        for connection in connections.values():
            connection.close()
    return pd.DataFrame(rows)


def _ask(connection: Connection, query: str, took: list[float]) -> int:
    start = time.perf_counter()
    n_rows = len(connection.execute(query).fetchall())
    took.append(1000 * (time.perf_counter() - start))
    connection.rollback()
    return n_rows


def main() -> None:
    """Fill a database, time the queries as each role, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=978)
    parser.add_argument("--times", type=int, default=9)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pbdb-security-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home")
    try:
        engine = connect.engine(settings)
        schema.upgrade(engine)
        for seed, name in enumerate(NAMES):
            write(engine, simulate(name, chosen.conditions // len(NAMES), chosen.genes, seed))
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE core.dataset SET is_redistributable = dataset LIKE 'open%%'")
        match_table.refresh(engine)
        found = measure(settings, chosen.times)
    finally:
        connect.stop(settings, immediately=True)
        shutil.rmtree(folder)
    _tell(found, {"conditions": chosen.conditions, "genes": chosen.genes})


def _tell(found: pd.DataFrame, sizes: dict[str, int]) -> None:
    allowed = found[OWNER] + np.maximum(0.1 * found[OWNER], 5)
    found["within"] = (found[READER] <= allowed) & (found[PUBLIC] <= allowed)
    print(found.round(2).to_string(index=False))
    print(f"load average {os.getloadavg()[0]:.1f}")
    ours, peer = float(found[PUBLIC].sum()), float(found[OWNER].sum())
    line = {"name": "row_security", "ours": ours, "peer": peer, "peer_name": "the owner, without policies"}
    rest = {"ratio": peer / ours, "sizes": sizes}
    lines.report(line | rest)
    sys.exit(0 if found["within"].all() else 1)


if __name__ == "__main__":
    main()
