"""Time and recall of signature search by index, against comparing with every effect.

    python benchmarks/signature_search.py               # 411,514 signatures in three datasets
    python benchmarks/signature_search.py --signatures 100000

Signatures are made up like those of L1000: a few hundred programmes of genes, few of them strong, with noise; doses of
a compound are alike. Strengths fall with a power of the rank, chosen so that the principal components of one plate's
worth explain as much as on a real plate of L1000 (25, 10 and 5 % the first three; 90 % about 150). They go into an
embedded server of the benchmark's own. The peer is the exact search of the same queries in the same database. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from made_up_effects import Made, write
from sqlalchemy import text

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.database.models import N_LANDMARKS
from pbdb.query import signatures as signature_search
from pbdb.query.signatures import Where
from pbdb.server import connect

DATASETS, DOSES, CONTEXTS, PROGRAMMES, QUERIES = 3, 4, 20, 300, 100
FALL = 0.6  # of the strength of programmes with their rank
FEWEST_GENES = 10
SIGNAL = 1.7  # standard deviation of a typical effect, in units of the noise: 1 in a well, more in the mean of three


def simulate(n: int, seed: int) -> np.ndarray:
    """Return n signatures (float32): mixtures of few programmes, alike for the doses of a compound, with noise."""
    chance = np.random.default_rng(seed)
    programmes = np.random.default_rng(0).standard_normal((PROGRAMMES, N_LANDMARKS), dtype=np.float32)
    share = np.arange(1, PROGRAMMES + 1, dtype=np.float32) ** -FALL
    programmes *= (SIGNAL * share / np.linalg.norm(share))[:, None]
    groups = -(-n // DOSES)
    strength = chance.gamma(1.0, 1.0, (groups, DOSES)).astype(np.float32)
    found = np.empty((n, N_LANDMARKS), dtype=np.float32)
    for start in range(0, groups, 5000):
        doses = strength[start : start + 5000, :, None]
        common = chance.standard_normal((len(doses), PROGRAMMES), dtype=np.float32) @ programmes
        block = (common[:, None] * doses).reshape(-1, N_LANDMARKS)
        rows = slice(start * DOSES, min(n, start * DOSES + len(block)))
        found[rows] = block[: rows.stop - rows.start]
    found += chance.standard_normal(found.shape, dtype=np.float32)
    return found


def fill(settings: Settings, n: int) -> None:
    """Write the datasets and their landmarks."""
    engine = connect.engine(settings)
    schema.upgrade(engine)
    for number in range(DATASETS):
        size = n // DATASETS + (number < n % DATASETS)
        place = np.arange(size)
        conditions = pd.DataFrame({"compound": [f"C{one // (DOSES * CONTEXTS):06}" for one in place]})
        conditions["context"] = [f"CVCL:{one // DOSES % CONTEXTS:04}" for one in place]
        conditions = conditions.assign(dose_fm=10 ** (8 + place % DOSES), time_h=24.0)
        values = simulate(size, number + 1)
        keys = np.arange(1, N_LANDMARKS + 1, dtype=np.int32)
        write(engine, Made(f"dataset_{number}", conditions, keys, values, np.ones_like(values)))
    with engine.begin() as connection:
        connection.execute(text("UPDATE core.effect SET landmark_t = log2_fc::public.halfvec(978), n_landmarks = 978"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE part.effect")


def main() -> None:
    """Fill, index, ask, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signatures", type=int, default=411_514)
    n = parser.parse_args().signatures
    folder = Path(tempfile.mkdtemp(prefix="pbdb-search-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home")
    try:
        fill(settings, n)
        built = signature_search.build_indexes(connect.engine(settings))
        print(f"{n:,} signatures, indexed in {sum(built.values()):.0f} s", flush=True)
        line = ask(settings)
    finally:
        connect.stop(settings, immediately=True)
        shutil.rmtree(folder)
    rest = {
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "machine": platform.machine(),
    }
    print(json.dumps(line | rest | {"sizes": {"signatures": n, "queries": QUERIES}}))


def ask(settings: Settings) -> dict[str, object]:
    """Ask the same queries by index and exactly, on one connection; times are of the server with the client."""
    chance = np.random.default_rng(9)
    with connect.connect_as_reader(settings) as connection:
        effects = [row[0] for row in connection.execute("SELECT effect_id FROM core.effect ORDER BY 1").fetchall()]
        took: dict[str, list[float]] = {}
        recall, moves = [], []
        for effect in chance.choice(effects, QUERIES, replace=False).tolist():
            row = connection.execute(_SIGNATURE, [effect]).fetchone()
            assert row is not None
            signature = str(row[0])
            moves.append(row[1] >= FEWEST_GENES)
            found = {}
            for how, where in _HOW.items():
                start = time.perf_counter()
                rows = signature_search._search(connection, signature, where, False, effect)
                took.setdefault(how, []).append(1000 * (time.perf_counter() - start))
                found[how] = {row["effect_id"] for row in rows}
            recall.append(len(found["index"] & found["exact"]) / 20)
    for how, times in took.items():
        print(f"{statistics.median(times):8.1f} ms median, {max(times):8.1f} ms at most: {how}")
    print(
        f"recall@20 {np.mean(recall):.3f}, {np.mean(recall, where=moves):.3f} of the {sum(moves)} queries with at least"
        f" {FEWEST_GENES} significant genes; load average {os.getloadavg()[0]:.1f}"
    )
    ours, peer = statistics.median(took["index"]), statistics.median(took["exact"])
    return {"name": "signature_search", "ours": round(ours, 2), "peer": round(peer, 1), "peer_name": "exact search"} | {
        "ratio": round(peer / ours, 1),
        "recall_20": round(float(np.mean(recall)), 4),
        "recall_20_of_strong": round(float(np.mean(recall, where=moves)), 4),
    }


_SIGNATURE = """
SELECT e.landmark_t::text, (SELECT count(*) FROM unnest(e.neg_log10_p_adj) p WHERE p > -log(0.05))
FROM core.effect e WHERE e.effect_id = %s"""
_HOW = {
    "index": Where(),
    "exact": Where(exact=True),
    "index, one context": Where(contexts=["CVCL:0007"]),
    "index, one data set": Where(datasets=["dataset_1"]),
}


if __name__ == "__main__":
    main()
