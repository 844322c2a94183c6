"""What the benchmarks of whole releases share: loads in processes of their own, looks at the database, a report.

No benchmark by itself: `sources_full.py` and `l1000_full.py` say what is generated and call `main`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lines
import made_up_names
import pandas as pd

Rows = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Benchmark:
    """What differs: `sources` of the data sets by key, a budget in seconds, and three functions.

    generate: dataset, folder, shared, share -> numbers planned. vocabulary: release, shared -> files by kind. look:
    what else to ask the database of a dataset, of the folder.
    """

    name: str
    doc: str
    sources: Mapping[str, str]
    limit_s: int
    generate: Callable[[str, Path, Path, float], dict[str, int]]
    vocabulary: Callable[[Path, Path], dict[str, Path]]
    look: Callable[[Rows, str, Path], dict[str, Any]] = lambda rows, dataset, folder: {}


def main(benchmark: Benchmark) -> None:
    """Generate, load and report one data set after the other."""
    parser = argparse.ArgumentParser(description=benchmark.doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", nargs="+", choices=benchmark.sources, required=True)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder; the server's user must enter it")
    parser.add_argument("--share", type=float, default=1.0, help="share of the published size, for a trial")
    parser.add_argument("--only-load", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only_load:
        print(json.dumps(load(benchmark, given.dataset[0], given.folder, given.shared)))
        return
    found = {}
    for dataset in given.dataset:
        start = time.perf_counter()
        planned = benchmark.generate(dataset, given.folder / "release", given.shared, given.share)
        print(f"{dataset} generated in {time.perf_counter() - start:.0f} s: {planned}", flush=True)
        loaded = in_process(dataset, given)
        as_published = compared(dataset, loaded["contexts"], given.shared) if given.share == 1 else "a trial"
        found[dataset] = {"planned": planned, "as_published": as_published} | loaded
        print(json.dumps(found[dataset], indent=1), flush=True)
    lines.report(line(benchmark, found))


def line(benchmark: Benchmark, found: dict[str, dict[str, Any]]) -> dict[str, object]:
    """The figures as they are collected; seconds are those of the slowest load."""
    seconds = max(one["seconds"] for one in found.values())
    stages = [stage for one in found.values() for stage in one["stages"].values()]
    return {
        "name": benchmark.name,
        "ours": seconds,
        "peer": benchmark.limit_s,
        "peer_name": "the budget in seconds",
        "ratio": benchmark.limit_s / seconds,
        "peak_rss_mb": max(stage["peak_mb"] for stage in stages),
        "sizes": {dataset: one["planned"] | {"as_published": one["as_published"]} for dataset, one in found.items()},
    }


def in_process(dataset: str, given: argparse.Namespace) -> dict[str, Any]:
    """Load one data set in a process of its own."""
    command = [sys.executable, sys.argv[0], "--only-load", "--dataset", dataset]
    command += ["--folder", str(given.folder), "--shared", str(given.shared)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def load(benchmark: Benchmark, dataset: str, folder: Path, shared: Path) -> dict[str, Any]:
    """Load into the embedded server of the folder, and ask the database what is there."""
    from sqlalchemy import text

    from pbdb.common.settings import Settings
    from pbdb.identity.vocabulary import releases
    from pbdb.loading import pipeline
    from pbdb.query import database
    from pbdb.server import connect
    from pbdb.sources import registry

    settings = Settings(home=folder / "home", workers=os.cpu_count() or 1)
    database.ready(settings)
    for kind, path in benchmark.vocabulary(folder / "release", shared).items():
        releases.import_files(settings, kind, path)
    start = time.perf_counter()
    choices = pipeline.Choices(folder=folder / "release", force=True)
    pipeline.load_source(registry.get(benchmark.sources[dataset]), settings, choices, dataset=dataset, reporter=Talk())
    seconds = round(time.perf_counter() - start, 1)
    with connect.engine(settings).connect() as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.execute(text(query), {"dataset": dataset})]

        looked = look(rows) | benchmark.look(rows, dataset, folder)
    connect.stop(settings)
    return {"seconds": seconds, "load_average": os.getloadavg()[1]} | looked


class Talk:
    """Says what each stage did to stderr."""

    def stage(self, stage: str, message: str) -> None:
        """A stage ended."""
        print(f"{time.strftime('%X')} {stage}: {message}", file=sys.stderr, flush=True)

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Say nothing."""


def look(rows: Rows) -> dict[str, Any]:
    """Samples, controls, conditions and genes of each default fit, wells by flag, and what each stage took."""
    fits = rows(
        "SELECT replace(x.context, ':', '_'), f.stratum, f.n_samples, f.n_vehicle, "
        "(SELECT count(*) FROM core.effect e WHERE e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id), s.n_genes "
        "FROM core.fit f JOIN core.context x USING (context_id) JOIN core.dataset d USING (dataset_id) "
        "JOIN core.feature_set s USING (feature_set_id) WHERE d.dataset = :dataset AND is_default"
    )
    stages = rows(
        "SELECT stage, round(seconds::numeric, 1)::float8, round(peak_mb::numeric)::int FROM core.etl_run "
        "WHERE dataset = :dataset AND status = 'done' ORDER BY etl_run_id"
    )
    counted = (
        "SELECT {}, count(*) FROM core.{} JOIN core.dataset USING (dataset_id) WHERE dataset = :dataset GROUP BY 1"
    )
    return {
        "contexts": {(row[0] if row[1] is None else f"{row[0]}_{row[1]}"): row[2:] for row in fits},
        "wells": dict(rows(counted.format("coalesce(flags[1], 'in_fit')", "sample"))),
        "statuses": dict(rows(counted.format("status", "effect"))),
        "stages": {stage: {"seconds": seconds, "peak_mb": peak} for stage, seconds, peak in stages},
    }


def real_genes(release: Path, shared: Path) -> dict[str, Path]:
    """The gene vocabulary that all generated releases are named by."""
    return {"genes": shared / made_up_names.GENES}


def published(dataset: str, shared: Path, every_column: bool = False) -> pd.DataFrame:
    """Published samples, controls and conditions, by context; of single cells at ten a sample."""
    numbers = pd.read_csv(shared / "sources/contexts_reference.csv").drop_duplicates()
    is_wanted = (numbers["dataset"] == dataset) & (numbers["mode"] == "group_all_replicates")
    numbers = numbers[is_wanted & numbers["min_cells"].isin([0, 10])].set_index("context")
    columns = ["samples_in_model", "control_samples", "treated_conditions"]
    columns += ["samples_before_min_cells", "perturbagens_without_control"] if every_column else []
    return numbers[columns].astype(int)


def compared(dataset: str, contexts: dict[str, Sequence[int]], shared: Path) -> object:
    """True where samples, controls and conditions of every context are those published; else those that differ."""
    theirs = {str(context): row.tolist() for context, row in published(dataset, shared).iterrows()}
    ours = {context: list(row[:3]) for context, row in contexts.items()}
    differing = [context for context in theirs | ours if theirs.get(context) != ours.get(context)]
    return {context: [ours.get(context), theirs.get(context)] for context in differing} or True
