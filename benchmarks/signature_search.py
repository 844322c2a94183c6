"""Time and recall of signature search by index, against comparing with every signature; and what the index costs.

    python benchmarks/signature_search.py               # 411,514 signatures in three datasets
    python benchmarks/signature_search.py --signatures 100000
    python benchmarks/signature_search.py --plate ZSPCQNORM.gct.gz   # and the wells of a real plate (level 4, GCT)
    python benchmarks/signature_search.py --home /var/lib/pbdb       # the signatures of a home, by the index it has

Signatures are made up like those of L1000: a few hundred programmes of genes, few of them strong, with noise; doses of
a compound are alike. Strengths fall with a power of the rank, chosen so that the principal components of one plate's
worth explain as much as on a real plate of L1000 (25, 10 and 5 % the first three; 90 % about 150). They go into an
embedded server of the benchmark's own. A real plate, where one is named, is a further data set: its wells are asked for
as well. The peer is the exact search of the same queries in the same database. Times are of the server with the client,
on connections that are open. The last line is JSON.

What was tried, on 411,514 signatures: recall@20 of exact cosine among the best candidates of each way, of 200 queries
and of the 109 of them that say anything. The first five rows rank all signatures; the others are HNSW graphs.

    candidates                           100            200            400            1600
    128 axes, inner product       0.905 / 0.997  0.922 / 0.999  0.933 / 1.000  0.952 / 1.000
    128 axes, cosine              0.889 / 0.989  0.927 / 1.000  0.946 / 1.000  0.964 / 1.000
    192 axes, cosine              0.922 / 0.999  0.943 / 1.000  0.954 / 1.000  0.970 / 1.000
    256 axes, cosine              0.934 / 1.000  0.951 / 1.000  0.959 / 1.000  0.975 / 1.000
    signs of 978 genes (binary)   0.653 / 0.845  0.751 / 0.931  0.826 / 0.978  0.921 / 1.000
    128 axes, graph, inner product               0.879 / 0.980  0.907 / 0.989  224 MB, 5,000 and 8,600 pages
    192 axes, graph, cosine                      0.905 / 0.986                 273 MB, 5,100 pages a query
    the same, ef_construction 256                0.905 / 0.986 with 160, 0.908 / 0.987 with 180 (chosen)

The chosen graph took 11 minutes to build beside eight other busy processes on two cores (1 GB of
maintenance_work_mem), and a query then 8 ms of processor time; quiet figures are what this script prints. One graph of
halfvec(978) for each data set, what stood here before, took 20 to 48 ms.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import lines
import numpy as np
import pandas as pd
from made_up_effects import Made, write
from queries import home
from sqlalchemy import text

from pbdb.common.settings import Settings
from pbdb.database import partitions, schema, signature_rows
from pbdb.database.effect_arrays import N_LANDMARKS
from pbdb.query import signature_index, signature_search
from pbdb.query.signature_search import Where
from pbdb.readers import gct
from pbdb.server import connect

DATASETS, DOSES, CONTEXTS, PROGRAMMES, QUERIES, CLIENTS = 3, 4, 20, 300, 200, 8
FALL = 0.6  # of the strength of programmes with their rank
FEWEST_GENES = 10
SIGNAL = 1.7  # standard deviation of a typical effect, in units of the noise: 1 in a well, more in the mean of three
PLATE = "real_plate"
FILTERS = {
    "one context": Where(contexts=["CVCL:0007"]),
    "six contexts": Where(contexts=[f"CVCL:{number:04}" for number in range(6)]),
    "one data set": Where(datasets=["dataset_1"]),
}


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


def fill(settings: Settings, n: int, plate: Path | None) -> None:
    """Write the datasets and their signatures."""
    engine = connect.engine(settings)
    schema.upgrade(engine)
    for number in range(DATASETS):
        size = n // DATASETS + (number < n % DATASETS)
        _write(settings, f"dataset_{number}", simulate(size, number + 1))
    if plate is not None:
        _write(settings, PLATE, gct.read(plate).values.astype(np.float32))
    with engine.begin() as connection:
        connection.execute(text("UPDATE core.effect SET landmark_t = log2_fc::public.halfvec(978), n_landmarks = 978"))
        for (dataset_id,) in connection.execute(text("SELECT dataset_id FROM core.dataset")).all():
            signature_rows.replace(connection, dataset_id, partitions.current(connection, dataset_id) or 0)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("part.effect", "core.signature", "core.signature_fit"):
            connection.exec_driver_sql(f"VACUUM ANALYZE {table}")


def _write(settings: Settings, dataset: str, values: np.ndarray) -> None:
    place = np.arange(len(values))
    conditions = pd.DataFrame({"compound": [f"C{one // (DOSES * CONTEXTS):06}" for one in place]})
    conditions["context"] = [f"CVCL:{one // DOSES % CONTEXTS:04}" for one in place]
    conditions = conditions.assign(dose_fm=10 ** (8 + place % DOSES), time_h=24.0)
    keys = np.arange(1, N_LANDMARKS + 1, dtype=np.int32)
    write(connect.engine(settings), Made(dataset, conditions, keys, values, np.ones_like(values)))


def main() -> None:
    """Fill, index, ask, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signatures", type=int, default=411_514)
    parser.add_argument("--plate", type=Path, help="profiles of a real plate at the 978 landmarks, level 4, as GCT")
    parser.add_argument("--home", type=Path, help="ask the database of this home, and fill none")
    chosen = parser.parse_args()
    if chosen.home is not None:
        settings = Settings(home=home(chosen.home))
        lines.report(ask(settings, "%", filters_of(settings)) | {"name": "signature_search_of_home"})
        return
    folder = Path(tempfile.mkdtemp(prefix="pbdb-search-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home")
    try:
        fill(settings, chosen.signatures, chosen.plate)
        line = index(settings) | ask(settings, "dataset_%", FILTERS)
        if chosen.plate is not None:
            line |= {"recall_20_of_plate": recall(settings, queries(settings, PLATE), Where())[0]}
    finally:
        connect.stop(settings, immediately=True)
        shutil.rmtree(folder)
    lines.report(line | {"sizes": {"signatures": chosen.signatures, "queries": QUERIES}})


def index(settings: Settings) -> dict[str, object]:
    """Build the index; tell seconds, megabytes, and the memory of the server meanwhile."""
    with connect.connect(settings, autocommit=True) as connection:
        status = connect.status(settings)
        assert status.pid is not None
        with _watched(status.pid) as most:
            built = signature_index.build(connect.engine(settings))
        sizes = connection.execute(_SIZES).fetchall()
    found: dict[str, object] = {
        "index_seconds": round(built.seconds, 1),
        "index_peak_mb": round(max(most)),
        **{f"{name}_mb": round(size / 2**20) for name, size in sizes},
    }
    print(f"{built.n_signatures:,} signatures; {found}; load average {os.getloadavg()[0]:.1f}", flush=True)
    return found


@contextmanager
def _watched(postmaster: int) -> Iterator[list[float]]:
    """Megabytes that the processes of a server have for themselves and together, four times a second."""
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            most.append(sum(_pss(pid) for pid in (postmaster, *_children(postmaster))) / 1024)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


def _children(postmaster: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return float(next(line for line in lines if line.startswith("Pss:")).split()[1])


Query = tuple[int, str, bool]


def queries(settings: Settings, dataset: str = "%") -> list[Query]:
    """Effects drawn at random, with their signatures, and whether at least ten genes are significant."""
    with connect.connect_as_reader(settings) as connection:
        effects = [row[0] for row in connection.execute(_EFFECTS, [dataset]).fetchall()]
        chosen = np.random.default_rng(9).choice(effects, min(QUERIES, len(effects)), replace=False).tolist()
        rows = [connection.execute(_SIGNATURE, [effect]).fetchone() for effect in chosen]
    return [(effect, str(row[0]), row[1] >= FEWEST_GENES) for effect, row in zip(chosen, rows, strict=True) if row]


def timed(settings: Settings, asked: Sequence[Query], where: Where) -> list[tuple[float, set[int]]]:
    """Milliseconds and effects found of each query, on one connection that has asked before."""
    found = []
    with connect.connect_as_reader(settings) as connection:
        for number, (effect, signature, _) in enumerate([asked[0], *asked]):
            start = time.perf_counter()
            rows = signature_search._search(connection, signature, where, False, effect)
            if number:
                found.append((1000 * (time.perf_counter() - start), {row["effect_id"] for row in rows}))
    return found


def recall(settings: Settings, asked: Sequence[Query], where: Where) -> tuple[float, float, list[float], list[float]]:
    """Share of what an exact search finds that the index finds too, of all queries and of those that say anything.

    The milliseconds of the index and of the exact search come with it.
    """
    by_index = timed(settings, asked, where)
    exact = timed(settings, asked, Where(where.datasets, where.contexts, where.n, exact=True))
    shares = np.array([len(a & b) / max(1, len(b)) for (_, a), (_, b) in zip(by_index, exact, strict=True)])
    strong = np.array([says for *_, says in asked])
    both = float(shares.mean()), float(shares[strong].mean()) if strong.any() else float("nan")
    return round(both[0], 4), round(both[1], 4), [took for took, _ in by_index], [took for took, _ in exact]


def filters_of(settings: Settings) -> dict[str, Where]:
    """Filters like FILTERS, by the contexts and the data set that have most effects."""
    with connect.connect_as_reader(settings) as connection:
        contexts = [row[0] for row in connection.execute(_LARGEST.format(of="context")).fetchall()]
        datasets = [row[0] for row in connection.execute(_LARGEST.format(of="dataset")).fetchall()]
    wheres = (Where(contexts=contexts[:1]), Where(contexts=contexts), Where(datasets=datasets[:1]))
    return dict(zip(FILTERS, wheres, strict=True))


def ask(settings: Settings, of_datasets: str, filters: dict[str, Where]) -> dict[str, object]:
    """Ask the same queries by index and exactly, alone and with other clients, everywhere and within filters."""
    asked = queries(settings, of_datasets)
    n_strong = sum(says for *_, says in asked)
    everywhere = recall(settings, asked, Where())
    with ThreadPoolExecutor(CLIENTS) as clients:
        parts = list(clients.map(lambda at: timed(settings, asked[at:] + asked[:at], Where()), range(CLIENTS)))
    together = [took for part in parts for took, _ in part]
    print(f"{n_strong} of {len(asked)} queries have at least {FEWEST_GENES} significant genes", flush=True)
    line: dict[str, object] = {"name": "signature_search", "peer_name": "exact search"}
    line |= {"recall_20": everywhere[0], "recall_20_of_strong": everywhere[1], "strong": n_strong}
    for name, times in (("1", everywhere[2]), (str(CLIENTS), together), ("1_exact", everywhere[3])):
        p50, p95 = statistics.median(times), float(np.percentile(times, 95))
        print(
            f"{p50:8.1f} ms p50, {p95:8.1f} ms p95: clients {name}; load average {os.getloadavg()[0]:.1f}", flush=True
        )
        line |= {f"p50_{name}": round(p50, 2), f"p95_{name}": round(p95, 2)}
    for name, where in filters.items():
        all_, strong, times, _ = recall(settings, asked[:50], where)
        print(f"{statistics.median(times):8.1f} ms p50, recall@20 {all_:.3f}, strong {strong:.3f}: {name}", flush=True)
        line |= {f"recall_20 {name}": all_, f"p50 {name}": round(statistics.median(times), 2)}
    ours, peer = statistics.median(everywhere[2]), statistics.median(everywhere[3])
    return line | {"ours": round(ours, 2), "peer": round(peer, 1), "ratio": round(peer / ours, 1)}


_LARGEST = "SELECT {of} FROM pbdb.fit WHERE is_default GROUP BY 1 ORDER BY sum(n_effects) DESC, 1 LIMIT 6"
_EFFECTS = """
SELECT s.effect_id FROM core.signature s JOIN core.dataset d USING (dataset_id) WHERE d.dataset LIKE %s ORDER BY 1"""
_SIGNATURE = """
SELECT e.landmark_t::text, (SELECT count(*) FROM unnest(e.neg_log10_p_adj) p WHERE p > -log(0.05))
FROM core.effect e WHERE e.effect_id = %s"""
_SIZES = """
SELECT 'index', sum(pg_relation_size(i.indexrelid)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname LIKE 'signature_index_%'
UNION ALL SELECT 'signature', pg_total_relation_size('core.signature')
UNION ALL SELECT 'projected_signature', pg_table_size('core.projected_signature')"""


if __name__ == "__main__":
    main()
