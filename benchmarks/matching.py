"""Time of matching all conditions of a compendium in SQL, against pandas doing the same on the same rows.

    python benchmarks/matching.py                       # 400,000 made-up conditions of twelve datasets
    python benchmarks/matching.py MANIFEST.parquet

MANIFEST: one row per condition with columns dataset, context, perturbation (PubChem CID), log_dose (log10 uM) and
time (h). The rows go into an embedded server of the benchmark's own. The peer is the same rule in pandas, with
floating-point folds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import lines
import numpy as np
import pandas as pd
from sqlalchemy import Connection, text

from pbdb.common.ids import stable_id, stable_ids
from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.database.copy_text import copy_frame
from pbdb.matches import match_table
from pbdb.server import connect

KEY = ["perturbation", "context", "time"]


def made_up(n: int = 400_000, datasets: int = 12) -> pd.DataFrame:
    """Return the conditions of datasets that have few compounds and cells in common, at doses of their own."""
    chance = np.random.default_rng(1)
    number = chance.integers(0, datasets, n)
    own = 500 + 3000 * number + chance.integers(0, 3000, n)
    compound = np.where(chance.random(n) < 0.1, chance.integers(0, 500, n), own)
    return pd.DataFrame(
        {
            "dataset": [f"dataset_{one:02}" for one in number],
            "perturbation": compound.astype(str),
            "context": [f"cells_{one:03}" for one in chance.integers(0, 12, n) * (1 + number % 3)],
            "log_dose": chance.integers(-2, 3, n) + 0.1 * (number % 4),
            "time": chance.choice([24.0, 48.0], n),
        }
    )


def with_doses(table: pd.DataFrame) -> pd.DataFrame:
    """Give doses as exact femtomolar; doses below 1 fM are left out."""
    table["dose_fm"] = np.rint(10.0 ** table["log_dose"] * 1e9).astype("int64")
    return table[table["dose_fm"] > 0].drop_duplicates(["dataset", *KEY, "dose_fm"]).reset_index(drop=True)


def fill(connection: Connection, table: pd.DataFrame) -> None:
    """Write datasets, compounds, contexts and conditions of the manifest."""
    connection.execute(text("INSERT INTO core.assay VALUES (1, 'manifest', 'counts')"))
    names = sorted(table["dataset"].unique())
    ids = {name: stable_id("dataset", name) for name in names}
    words = dict.fromkeys(("source", "title", "license", "citation", "release"), "manifest")
    datasets = pd.DataFrame({"dataset_id": ids.values(), "dataset": names, "assay_id": 1, "access": "open"} | words)
    copy_frame(connection, "core.dataset", datasets)
    cids = table["perturbation"].drop_duplicates()
    compounds = stable_ids("compound", zip(cids))
    copy_frame(
        connection,
        "core.compound",
        pd.DataFrame({"compound_id": compounds, "inchikey": "CID" + cids, "pubchem_cid": cids, "name": "cid " + cids}),
    )
    lines = table["context"].drop_duplicates()
    contexts = dict(zip(lines, stable_ids("context", zip(lines)), strict=True))
    facts = {"context_id": contexts.values(), "context": lines, "context_name": lines}
    copy_frame(connection, "core.context", pd.DataFrame(facts | {"kind": "cell_line", "organism": "human"}))
    pairs = table[["dataset", "perturbation"]].drop_duplicates()
    written = dict(
        zip(pairs.itertuples(index=False, name=None), stable_ids("source_compound", pairs.values), strict=True)
    )
    compound_of = dict(zip(cids, compounds, strict=True))
    source = {
        "source_compound_id": written.values(),
        "dataset_id": pairs["dataset"].map(ids),
        "source_key": pairs["perturbation"],
        "name": pairs["perturbation"],
        "compound_id": pairs["perturbation"].map(compound_of),
        "resolved_by": "pubchem_cid",
    }
    copy_frame(connection, "core.source_compound", pd.DataFrame(source))
    conditions = {
        "condition_id": stable_ids("condition", table[["dataset", *KEY, "dose_fm"]].values),
        "dataset_id": table["dataset"].map(ids),
        "source_compound_id": [written[pair] for pair in zip(table["dataset"], table["perturbation"], strict=True)],
        "context_id": table["context"].map(contexts),
        "dose_fm": table["dose_fm"],
        "time_h": table["time"],
        "is_vehicle": False,
        "n_samples": 1,
    }
    copy_frame(connection, "core.condition", pd.DataFrame(conditions))


def match_in_pandas(table: pd.DataFrame) -> pd.DataFrame:
    """Return all mutual-nearest pairs with their fold, in floating point."""
    found = []
    names = sorted(table["dataset"].unique())
    sides = {name: rows.reset_index() for name, rows in table.groupby("dataset")}
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            pair = sides[first].merge(sides[second], on=KEY, suffixes=("_a", "_b"))
            fold = (pair["dose_fm_a"] / pair["dose_fm_b"]).to_numpy()
            pair["fold"] = np.maximum(fold, 1 / fold)
            near = np.ones(len(pair), dtype=bool)
            for side in ("index_a", "index_b"):
                near &= pair["fold"] <= pair.groupby(side)["fold"].transform("min") + 1e-12
            found.append(pair.loc[near, [*KEY, "dataset_a", "dataset_b", "fold"]])
    return pd.concat(found)


def in_window(pairs: pd.DataFrame, window: float) -> int:
    """Count the pairs of strata with ten shared compounds inside the window."""
    kept = pairs[pairs["fold"] <= window + 1e-12]
    stratum = ["dataset_a", "dataset_b", "context", "time"]
    return int((kept.groupby(stratum)["perturbation"].transform("nunique") >= match_table.MIN_SHARED_COMPOUNDS).sum())


def main() -> None:
    """Load the manifest, match it in SQL and in pandas, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, nargs="?", help="default: conditions made up")
    manifest = parser.parse_args().manifest
    table = with_doses(pd.read_parquet(manifest) if manifest else made_up())
    folder = Path(tempfile.mkdtemp(prefix="pbdb-matching-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home")
    try:
        engine = connect.engine(settings)
        schema.upgrade(engine)
        with engine.begin() as connection:
            fill(connection, table)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
        start = time.perf_counter()
        done = match_table.refresh(engine, match_table.Rule("pubchem_cid"))
        ours = time.perf_counter() - start
        start = time.perf_counter()
        again = match_table.refresh(engine, match_table.Rule("pubchem_cid"))
        print(f"full refresh {ours:.1f} s: {done.matches:,} pairs, {done.in_window:,} within ten-fold dose")
        print(
            f"again, nothing changed: {time.perf_counter() - start:.1f} s, {again.added} added, {again.removed} removed"
        )
        start = time.perf_counter()
        one = match_table.match_dataset(engine, max(table["dataset"])).refreshed
        print(f"after a load of one dataset, {len(one)} rules: {time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        pairs = match_in_pandas(table)
        peer = time.perf_counter() - start
        with engine.connect() as connection:
            for window in (1, 2, 3, 10):
                query = text("SELECT count(*) FROM core.match WHERE from_window <= :window AND inchikey_level = :level")
                ours_n = connection.execute(query, {"window": window, "level": "pubchem_cid"}).scalar_one()
                print(f"window {window:>2}: {ours_n:,} matches, in pandas {in_window(pairs, window):,}")
    finally:
        connect.stop(settings, immediately=True)
        shutil.rmtree(folder)
    line = {
        "name": "matching",
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": "pandas, in memory",
        "ratio": round(peer / ours, 2),
        "sizes": {"conditions": len(table), "matches": done.matches},
    }
    lines.report(line)


if __name__ == "__main__":
    main()
