"""Time of agreement with all baselines: database to database, against a loop over scipy, and against BLAS.

    python benchmarks/agreement.py                      # 76,717 matched pairs of L1000-like rows, 256 peers
    python benchmarks/agreement.py --pairs 8000 --scipy-sample 4
    python benchmarks/agreement.py --stratum 48000x12000 --queries 1000

Two simulated datasets share compounds in twenty contexts; half of each effect is common. Everything is computed:
18 statistics, two centroids and two sets of peers for each side, summaries with intervals; results are stored. The
peer is a loop over pairs and peers with scipy.stats, on a sample of the same matches, scaled up. With --stratum:
Spearman similarity of queries with every candidate of one stratum, against scipy row by row on a sample, and against
the bare matrix product. The last line is JSON.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import lines
import numpy as np
import pandas as pd
from made_up_effects import Made, adjusted, neg_log10_p, write
from scipy import stats
from scipy.spatial.distance import cosine

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.matches import match_table
from pbdb.matches.agreement import run as agreement_run
from pbdb.matches.agreement.run import Choices
from pbdb.matches.statistics import retrieval
from pbdb.matches.statistics.metrics import significant
from pbdb.matches.statistics.ranks import unit_rows
from pbdb.server import connect

CONTEXTS, DOSES, GENES = 20, (10**8, 10**9, 10**10, 2 * 10**10), 978


def simulate(n_pairs: int, seed: int = 1) -> tuple[Made, Made]:
    """Return two datasets with `n_pairs` conditions in common: heavy-tailed effects, a third of them shared."""
    chance = np.random.default_rng(seed)
    place = np.arange(n_pairs)
    conditions = pd.DataFrame(
        {
            "compound": [f"C{number:06}" for number in place // (CONTEXTS * len(DOSES))],
            "context": [f"CVCL:{number:04}" for number in place % CONTEXTS],
            "dose_fm": np.array(DOSES)[place // CONTEXTS % len(DOSES)],
            "time_h": 24.0,
        }
    )
    shared = chance.standard_t(3, size=(n_pairs, GENES)).astype(np.float32)
    made = []
    for name in ("first", "second"):
        own = chance.standard_t(3, size=(n_pairs, GENES)).astype(np.float32)
        values = np.float32(0.6) * (shared + own)
        se = np.float32(0.4) * np.ones_like(values)
        made.append(Made(name, conditions, np.arange(1, GENES + 1, dtype=np.int32), values, se))
    return made[0], made[1]


def loop_over_scipy(a: Made, b: Made, sample: int, peers: int) -> float:
    """Seconds per match of the same comparisons one by one (eight of the statistics), with `peers` on each side."""
    chance = np.random.default_rng(0)
    start = time.perf_counter()
    for row in chance.integers(0, len(a.log2_fc), sample):
        for own, other in ((a, b), (b, a)):
            pools = (chance.integers(0, len(own.log2_fc), peers) for _ in range(2))
            partners = [(other, row), *((own, n) for n in next(pools)), *((other, n) for n in next(pools))]
            for made, number in partners:
                _compare_one(own, int(row), made, int(number))
    return (time.perf_counter() - start) / sample


def _compare_one(a: Made, i: int, b: Made, j: int) -> list[float]:
    found = []
    for x, y in ((a.log2_fc[i], b.log2_fc[j]), (a.log2_fc[i] / a.se[i], b.log2_fc[j] / b.se[j])):
        found += [stats.spearmanr(x, y).statistic, stats.pearsonr(x, y).statistic, 1 - cosine(x, y)]
    mask = significant(a.log2_fc[i][None], adjusted(neg_log10_p((a.log2_fc[i] / a.se[i])[None])))[0]
    if mask.sum() > 1:
        found.append(stats.spearmanr(a.log2_fc[i][mask], b.log2_fc[j][mask]).statistic)
        found.append(float((np.sign(a.log2_fc[i][mask]) == np.sign(b.log2_fc[j][mask])).mean()))
    return found


def whole(n_pairs: int, peers: int, sample: int) -> dict[str, Any]:
    """Run agreement through the database and the loop on a sample."""
    a, b = simulate(n_pairs)
    folder = Path(tempfile.mkdtemp(prefix="pbdb-agreement-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home")
    try:
        engine = connect.engine(settings)
        schema.upgrade(engine)
        for made in (a, b):
            write(engine, made)
        found = match_table.refresh(engine)
        print(f"{found.matches:,} matches in place; load average {os.getloadavg()[0]:.1f}", flush=True)
        start = time.perf_counter()
        steps: dict[str, float] = {}
        agreement_run.run(
            settings,
            Choices(peers=peers),
            lambda what, done, total: steps.update({what: time.perf_counter() - start}),
        )
        ours = time.perf_counter() - start
        print(f"agreement {steps['agreement']:.0f} s, intervals until {steps['intervals']:.0f} s, stored {ours:.0f} s")
    finally:
        connect.stop(settings, immediately=True)
        shutil.rmtree(folder)
    peer = loop_over_scipy(a, b, sample, peers) * n_pairs
    sizes = {"matches": found.matches, "genes": GENES, "peers": peers, "scipy_sample": sample}
    return {"name": "agreement", "ours": ours, "peer": peer, "peer_name": "scipy.stats in a loop, scaled up"} | {
        "sizes": sizes
    }


def stratum(candidates: int, genes: int, queries: int) -> dict[str, Any]:
    """Spearman similarity of queries with all candidates of a stratum, in blocks."""
    chance = np.random.default_rng(0)
    pool = chance.standard_normal((candidates, genes), dtype=np.float32)
    asked = pool[:queries] + chance.standard_normal((queries, genes), dtype=np.float32)
    start = time.perf_counter()
    blocks = [retrieval.scores(asked, pool[at : at + 4000], "spearman") for at in range(0, candidates, 4000)]
    ours = time.perf_counter() - start
    assert sum(block.shape[1] for block in blocks) == candidates
    units = unit_rows(asked, "spearman"), unit_rows(pool[:4000], "spearman")
    start = time.perf_counter()
    for _ in range(0, candidates, 4000):
        units[0] @ units[1].T
    product = time.perf_counter() - start
    start = time.perf_counter()
    for row in range(100):
        stats.spearmanr(asked[0], pool[row])
    peer = (time.perf_counter() - start) / 100 * queries * candidates
    print(f"bare product {product:.1f} s: ours takes {ours / product:.1f} times that, ranking included")
    sizes = {"candidates": candidates, "genes": genes, "queries": queries, "product_seconds": round(product, 1)}
    return {"name": "retrieval", "ours": ours, "peer": peer, "peer_name": "scipy.stats.spearmanr, scaled up"} | {
        "sizes": sizes
    }


def main() -> None:
    """Run what is asked for and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=76_717)
    parser.add_argument("--peers", type=int, default=256)
    parser.add_argument("--scipy-sample", type=int, default=8)
    parser.add_argument("--stratum", help="candidates x genes, such as 48000x12000")
    parser.add_argument("--queries", type=int, default=1000)
    asked = parser.parse_args()
    if asked.stratum:
        candidates, genes = map(int, asked.stratum.split("x"))
        line = stratum(candidates, genes, asked.queries)
    else:
        line = whole(asked.pairs, asked.peers, asked.scipy_sample)
    line["ratio"] = round(line["peer"] / line["ours"], 1)
    line |= {"ours": round(line["ours"], 1), "peer": round(line["peer"], 1)}
    lines.report(line)


if __name__ == "__main__":
    main()
