"""Time of queries over matched conditions: a match gene by gene, a gene over all matches, counts, and windows.

    python benchmarks/matched_queries.py                # 76,717 matches of 978 genes, and 40 of 15,000
    python benchmarks/matched_queries.py --pairs 8000   # smaller

The peer is the view one would write without the two functions behind matched_effect and matched_gene: the arrays of
both sides unnested and joined by gene. The last line is JSON.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import lines
import numpy as np
import pandas as pd
import psycopg
from agreement import simulate
from made_up_effects import Made, write

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.matches import match_table
from pbdb.server import connect

PLAIN = """
SELECT n.symbol, u.log2_fc AS log2_fc_a, pbdb.p_value(u.adj) AS p_adj_a, v.log2_fc AS log2_fc_b,
    pbdb.p_value(v.adj) AS p_adj_b
FROM core.match m
JOIN core.effect a ON a.dataset_id = m.dataset_id_a AND a.effect_id = m.effect_id_a
JOIN core.effect b ON b.dataset_id = m.dataset_id_b AND b.effect_id = m.effect_id_b
JOIN core.fit f ON f.fit_id = a.fit_id JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
JOIN core.fit g ON g.fit_id = b.fit_id JOIN core.feature_set i ON i.feature_set_id = g.feature_set_id
CROSS JOIN LATERAL unnest(h.gene_keys, a.log2_fc, a.neg_log10_p_adj) u (gene_key, log2_fc, adj)
JOIN LATERAL unnest(i.gene_keys, b.log2_fc, b.neg_log10_p_adj) v (gene_key, log2_fc, adj) ON v.gene_key = u.gene_key
JOIN core.gene n ON n.gene_key = u.gene_key
WHERE {}"""


def wide(name: str, n: int = 40, genes: int = 15_000) -> Made:
    """Return a dataset of a few conditions with many genes, whose compounds others of its kind share."""
    chance = np.random.default_rng(len(name))
    keys = np.sort(chance.choice(np.arange(2000, 2000 + genes + 500), genes, replace=False)).astype(np.int32)
    conditions = pd.DataFrame({"compound": [f"W{number}" for number in range(n)], "context": "CVCL:9999"})
    values = chance.standard_normal((n, genes), dtype=np.float32)
    return Made(name, conditions.assign(dose_fm=10**9, time_h=24.0), keys, values, np.full_like(values, 0.3))


def median_ms(connection: psycopg.Connection[tuple[object, ...]], query: str, times: int = 5) -> float:
    """Median time of a query whose rows are fetched."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        connection.execute(query).fetchall()
        took.append(1000 * (time.perf_counter() - start))
    return statistics.median(took)


def main() -> None:
    """Fill a database, time the queries, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=76_717)
    n_pairs = parser.parse_args().pairs
    folder = Path(tempfile.mkdtemp(prefix="pbdb-queries-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home")
    try:
        engine = connect.engine(settings)
        schema.upgrade(engine)
        for made in (*simulate(n_pairs), wide("third"), wide("fourth_one")):
            write(engine, made)
        match_table.refresh(engine)
        with connect.connect_as_reader(settings) as connection:
            found = _time(connection)
        for what, took in found.items():
            print(f"{took:9.1f} ms  {what}")
        print(f"load average {os.getloadavg()[0]:.1f}")
    finally:
        connect.stop(settings, immediately=True)
        shutil.rmtree(folder)
    ours, peer = found["one match, 15,000 genes"], found["one match, 15,000 genes, without the function"]
    line = {"name": "matched_queries", "ours": ours, "peer": peer, "peer_name": "the plain view", "ratio": peer / ours}
    rest = {
        "sizes": {"matches": n_pairs},
        "queries_ms": {what: round(took, 1) for what, took in found.items()},
    }
    lines.report(line | rest)


def _time(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, float]:
    many = connection.execute("SELECT match_id FROM matched_condition WHERE context = 'CVCL:9999' LIMIT 1").fetchone()
    few = connection.execute("SELECT match_id FROM matched_condition WHERE context = 'CVCL:0003' LIMIT 1").fetchone()
    assert many is not None and few is not None
    values = "log2_fc_a, p_adj_a, log2_fc_b, p_adj_b"
    queries = {
        "one match, 15,000 genes": f"SELECT gene_symbol, {values} FROM matched_effect WHERE match_id = {many[0]}",
        "one match, 15,000 genes, all 24 columns": f"SELECT * FROM matched_effect WHERE match_id = {many[0]}",
        "one match, 15,000 genes, without the function": PLAIN.format(f"m.match_id = {many[0]}"),
        "one match, 978 genes": f"SELECT * FROM matched_effect WHERE match_id = {few[0]}",
        "one gene over all matches": f"SELECT match_id, {values} FROM matched_gene WHERE gene_id = 'ENSG00000000500'",
        "one gene over all matches, all 24 columns": "SELECT * FROM matched_gene WHERE gene_id = 'ENSG00000000500'",
        "one gene, mean of same_direction": "SELECT avg(same_direction::int) FROM matched_gene"
        " WHERE gene_id = 'ENSG00000000500'",
        "one compound in one context": "SELECT * FROM matched_effect WHERE compound_name = 'C000007'"
        " AND context = 'CVCL:0003'",
        "LIMIT 100 of matched_effect": "SELECT * FROM matched_effect LIMIT 100",
        "LIMIT 100 of matched_gene": "SELECT * FROM matched_gene LIMIT 100",
        "matches of a compound": "SELECT * FROM matched_condition WHERE compound_name = 'C000007'",
        "counts by pair and window": "SELECT dataset_a, dataset_b, count(*) FILTER (WHERE in_window_3)"
        " FROM matched_condition GROUP BY 1, 2",
    }
    # The plain view may take a minute: once is enough.
    return {what: median_ms(connection, query, 1 if "without" in what else 5) for what, query in queries.items()}


if __name__ == "__main__":
    main()
