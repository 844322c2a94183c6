"""Times of the ten questions of docs/cookbook.md on a database that is there, or on a snapshot.

    python benchmarks/cookbook.py /var/lib/pbdb                       # the embedded database of a home
    python benchmarks/cookbook.py postgresql://reader@host/pbdb       # another server
    python benchmarks/cookbook.py pbdb-2026.1 --times 20              # a snapshot

Where the names of the demo are not in the data, others are taken from them: the data set with most effects, a compound
with two contexts at one dose, a mechanism of some compounds (or ten compounds where none is known). Each question is
asked once before it is timed. The last line is JSON: p50 and p95 in milliseconds, and rows, of each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

import pbdb
from pbdb.common.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cookbook.md"
QUESTIONS = dict(re.findall(r"```sql\n-- name: (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S))


def opened(place: str) -> Any:
    """The database at an address or in a home, or the snapshot in a folder."""
    if "://" in place:
        return pbdb.connect(Settings(home=Path(), database_url=place, read_as_superuser=True))
    folder = Path(place)
    return pbdb.connect(folder if (folder / "pbdb.duckdb").is_file() else Settings(home=folder))


def first(db: Any, query: str) -> list[Any]:
    """The first row of a query; empty where there is none."""
    frame = db.sql(query)
    return [] if frame.empty else list(frame.iloc[0])


def names(db: Any) -> dict[str, str]:
    """Texts of the questions, and what stands for them in these data."""
    if first(db, "SELECT 1 FROM dataset WHERE dataset = 'screen_one'"):
        return {}
    dataset = first(db, "SELECT dataset FROM coverage GROUP BY dataset ORDER BY sum(n_effects) DESC LIMIT 1")[0]
    other = first(
        db,
        f"""SELECT CASE WHEN dataset_a = '{dataset}' THEN dataset_b ELSE dataset_a END AS other FROM matched_condition
        WHERE '{dataset}' IN (dataset_a, dataset_b) GROUP BY 1 ORDER BY count(*) DESC LIMIT 1""",
    )
    compound, one, two, dose = first(
        db,
        f"""SELECT compound_name, min(context_name), max(context_name), dose_um FROM effect
        WHERE dataset = '{dataset}' AND status = 'ok' AND dose_um > 0 GROUP BY compound_name, dose_um
        ORDER BY count(DISTINCT context) DESC, compound_name, dose_um LIMIT 1""",
    )
    genes = db.sql(
        f"""SELECT DISTINCT coalesce(gene_symbol, gene_id) AS gene FROM condition_effect WHERE effect_id = (
        SELECT min(effect_id) FROM effect WHERE dataset = '{dataset}' AND compound_name = '{compound}'
        AND status = 'ok') ORDER BY 1 LIMIT 2"""
    )["gene"]
    chosen = {"bortezomib": compound, "vorinostat": compound, "A549": two, "U-2 OS": one, "HMOX1": genes[0]}
    chosen |= {"HSPA1B": genes[1], "screen_one": dataset, "screen_two": other[0] if other else dataset}
    quoted = {f"'{theirs}'": f"'{ours}'" for theirs, ours in chosen.items()}
    pair = f"dataset_a = '{min(dataset, chosen['screen_two'])}' AND dataset_b = '{max(dataset, chosen['screen_two'])}'"
    whole = {"dataset_a = 'screen_one' AND dataset_b = 'screen_two'": pair}
    if not first(db, f"SELECT 1 FROM gene WHERE gene_symbol = '{genes[0]}'"):
        whole["gene_symbol = 'HMOX1'"] = f"gene_id = '{genes[0]}'"
    return whole | quoted | {"dose_um = 10": f"dose_um = {dose:.15g}"} | mechanism(db, dataset)


def mechanism(db: Any, dataset: str) -> dict[str, str]:
    """A mechanism of a few compounds; ten compounds where the data know of none."""
    treated = f"SELECT DISTINCT compound_name FROM effect WHERE dataset = '{dataset}'"
    known = f"SELECT mechanism FROM mechanism JOIN ({treated}) e USING (compound_name) GROUP BY 1"
    found = first(db, f"{known} ORDER BY abs(count(*) - 10), 1 LIMIT 1")
    if found:
        return {"'hdac'": "'" + found[0].replace("'", "''") + "'"}
    ten = f"SELECT DISTINCT compound_name, 'hdac' AS mechanism FROM condition WHERE dataset = '{dataset}' LIMIT 10"
    return {"JOIN mechanism m": f"JOIN ({ten}) m"}


def main() -> None:
    """Ask, time, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", metavar="HOME_OR_URL")
    parser.add_argument("--times", type=int, default=10)
    chosen = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with opened(chosen.place) as db:
        replaced = names(db)
        for name, question in QUESTIONS.items():
            asked = question
            for theirs, ours in replaced.items():
                asked = asked.replace(theirs, ours)
            found[name] = timed(db, asked, chosen.times)
            print(f"{name:20} {found[name]}", flush=True)
    slowest = max(found, key=lambda name: found[name]["p50_ms"])
    line = {"name": "cookbook", "slowest": slowest, "p50_ms": found[slowest]["p50_ms"], "questions": found}
    print(json.dumps(line | {"times": chosen.times, "load": os.getloadavg()[0], "machine": platform.machine()}))


def timed(db: Any, question: str, times: int) -> dict[str, float]:
    """Median and 95th percentile of the time that a question takes, and its rows."""
    n_rows, took = len(db.sql(question)), []
    for _ in range(times):
        start = time.perf_counter()
        db.sql(question)
        took.append(1000 * (time.perf_counter() - start))
    p50, p95 = np.percentile(took, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1), "rows": n_rows}


if __name__ == "__main__":
    main()
