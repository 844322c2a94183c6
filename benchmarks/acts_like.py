"""Ask 37,000 compounds what acts alike: `pbdb.acts_like` beside the same answer by NumPy from vectors in memory.

Makes compounds with vectors of a model at random (as many factors as `--rank`, most effects little known), puts them
into a database of their own (an embedded server in a throw-away home), and times the function from the call to the
last row, median and best of several queries, for the owner and for the public role, to whom row-level security
applies, with the processor time that the server spent on a call, which other people's work lengthens less. Every answer
is compared with the peer's. The load of the machine is printed; the last line is JSON.

    python benchmarks/acts_like.py --compounds 37000 --rank 64 [--explain]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import lines
import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine, text

from pbdb.common.ids import stable_ids
from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.database.copy_text import copy_frame
from pbdb.identity.compounds.structure import N_BITS
from pbdb.learn.models.similarity import LEVELS, Calibration, calibrate
from pbdb.server import connect

N_QUERIES = 50
K = 20
BITS_SET = 45
LEAST = 0.3
MODEL = 1
CALL = text("SELECT parent_inchikey, cosine, percentile FROM pbdb.acts_like(:key, :k)")


def made(n: int, rank: int) -> tuple[pd.DataFrame, pd.DataFrame, Calibration]:
    """Return compounds, their vectors, and what the model says of random pairs."""
    draw = np.random.default_rng(1)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    keys = ["".join(row) + "-UHFFFAOYSA-N" for row in letters[draw.integers(0, 26, (n, 14))]]
    bits = np.zeros((n, N_BITS), "U1")
    bits[:] = "0"
    np.put_along_axis(bits, draw.integers(0, N_BITS, (n, BITS_SET)), "1", axis=1)
    compounds = pd.DataFrame({
        "compound_id": stable_ids("compound", ((key,) for key in keys)), "inchikey": keys, "parent_inchikey": keys,
        "skeleton": [key[:14] for key in keys], "name": [f"compound {number}" for number in range(n)],
        "fingerprint": ["".join(row) for row in bits],
    })  # fmt: skip
    vectors = (draw.normal(size=(n, rank)) * draw.gamma(0.5, 1, (n, 1))).astype(np.float32)
    reliability = draw.beta(2, 1, n).astype(np.float32)
    table = pd.DataFrame({"model_id": MODEL, "parent_inchikey": keys, "vec": list(vectors), "reliability": reliability})
    table[["n_training_effects", "n_training_datasets", "n_training_contexts", "from_structure"]] = 1, 1, 1, False
    return compounds, table, calibrate(vectors, reliability)


def fill(engine: Engine, compounds: pd.DataFrame, vectors: pd.DataFrame, calibration: Calibration) -> None:
    """Put compounds and the model into the database."""
    model = {
        "model_id": MODEL, "model": "bench", "kind": "lowrank", "is_default_model": True,
        "n_dimensions": len(vectors["vec"].iloc[0]), "datasets": ["bench"], "learnt_from": "{}", "parameters": "{}",
        "code_version": "0", "cosine_levels": list(LEVELS), "cosine_quantiles": calibration.quantiles.ravel().tolist(),
    }  # fmt: skip
    dataset = {
        "dataset_id": 1, "dataset": "bench", "source": "bench", "title": "Made up", "release": "1", "assay_id": 1,
        "license": "CC0-1.0", "citation": "none", "access": "open", "is_redistributable": True,
    }  # fmt: skip
    named = pd.DataFrame({
        "source_compound_id": compounds["compound_id"], "dataset_id": 1, "source_key": compounds["inchikey"],
        "name": compounds["name"], "compound_id": compounds["compound_id"], "resolved_by": "inchikey",
    })  # fmt: skip
    texts = ["[" + ",".join(map(str, vector.tolist())) + "]" for vector in vectors["vec"]]
    with engine.begin() as connection:
        assay = pd.DataFrame([{"assay_id": 1, "technology": "made up", "readout": "counts"}])
        copy_frame(connection, "core.assay", assay)
        copy_frame(connection, "core.dataset", pd.DataFrame([dataset]))
        copy_frame(connection, "core.compound", compounds)
        copy_frame(connection, "core.source_compound", named)
        copy_frame(connection, "core.embedding_model", pd.DataFrame([model]))
        copy_frame(connection, "core.compound_embedding", vectors.assign(vec=texts))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE core.compound, core.source_compound, core.compound_embedding"))


class Peer:
    """The answer by NumPy, from unit vectors in memory."""

    def __init__(self, vectors: pd.DataFrame, calibration: Calibration):
        stacked = np.stack(vectors["vec"].to_list()).astype(float)
        self.unit = (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).astype(np.float32)
        self.reliability = vectors["reliability"].to_numpy()
        self.keys = vectors["parent_inchikey"].to_numpy()
        self.calibration = calibration

    def answer(self, at: int) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Return the nearest compounds, their cosines and percentiles."""
        cosine = np.where(self.reliability >= LEAST, self.unit @ self.unit[at], -2)
        cosine[at] = -2
        near = np.argpartition(-cosine, K)[:K]
        near = near[np.argsort(-cosine[near])]
        known = np.minimum(self.reliability[near], self.reliability[at])
        return self.keys[near].tolist(), cosine[near], self.calibration.percentile(cosine[near], known)


def measure(connection: Connection, peer: Peer) -> tuple[list[float], list[float], float]:
    """Return seconds of each query, ours and the peer's, and the server's processor seconds for one of ours."""
    connection.execute(text("SET max_parallel_workers_per_gather = 0"))
    server = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    connection.execute(CALL, {"key": peer.keys[0], "k": K}).all()
    before = processor_seconds(server)
    ours, theirs = [], []
    for at in random.Random(2).sample(range(len(peer.keys)), N_QUERIES):
        start = time.perf_counter()
        rows = connection.execute(CALL, {"key": peer.keys[at], "k": K}).all()
        asked = time.perf_counter()
        keys, cosine, percentile = peer.answer(at)
        theirs.append(time.perf_counter() - asked)
        ours.append(asked - start)
        np.testing.assert_allclose([row.cosine for row in rows], cosine, atol=1e-5)
        assert len(set(keys) & {row.parent_inchikey for row in rows}) >= K - 1, "another answer"
        assert np.mean(np.abs(percentile - [row.percentile for row in rows]) < 1e-9) > 0.9, "other percentiles"
    return ours, theirs, (processor_seconds(server) - before) / N_QUERIES


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process so far (Linux)."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def run(settings: Settings, args: argparse.Namespace) -> dict[str, object]:
    """Build, measure as owner and as reader, print; return the figures."""
    engine = connect.engine(settings)
    schema.upgrade(engine)
    compounds, vectors, calibration = made(args.compounds, args.rank)
    fill(engine, compounds, vectors, calibration)
    peer = Peer(vectors, calibration)
    figures: dict[str, object] = {}
    for role in ("owner", "reader"):
        with engine.connect() as connection:
            if role == "reader":
                connection.execute(text("SET ROLE pbdb_public"))
            if args.explain:
                explain(connection, str(peer.keys[0]))
            ours, theirs, processor = measure(connection, peer)
        load = os.getloadavg()[0]
        times = {"median_ms": ms(statistics.median(ours)), "best_ms": ms(min(ours)), "processor_ms": ms(processor)}
        figures[role] = times | {"load": round(load, 1)}
        figures["numpy_ms"] = ms(statistics.median(theirs))
        print(f"{role}: {figures[role]}; NumPy in memory {figures['numpy_ms']} ms", flush=True)
    return figures


def explain(connection: Connection, key: str) -> None:
    """Print the plan of one call, which is planned as part of the statement."""
    for row in connection.execute(text(f"EXPLAIN (ANALYZE, BUFFERS, VERBOSE OFF) {CALL}"), {"key": key, "k": K}):
        print(row[0])


def ms(seconds: float) -> float:
    """Milliseconds, to a tenth."""
    return round(seconds * 1e3, 1)


def main() -> None:
    """Run and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compounds", type=int, default=37_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--explain", action="store_true", help="print the plan of one call")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pbdb-bench-") as folder:
        Path(folder).chmod(0o755)
        settings = Settings(home=Path(folder) / "home", workers=os.cpu_count() or 1)
        try:
            figures = run(settings, args)
        finally:
            connect.stop(settings, immediately=True)
    line = {
        "name": "acts_like",
        "ours": figures["owner"],
        "reader": figures["reader"],
        "peer": {"median_ms": figures["numpy_ms"]},
        "peer_name": "NumPy, unit vectors in memory",
        "sizes": {"compounds": args.compounds, "rank": args.rank, "k": K},
    }
    lines.report(line)


if __name__ == "__main__":
    main()
