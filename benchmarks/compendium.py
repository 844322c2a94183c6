"""The whole compendium in one database: twelve data sets of published size, one after the other, on one machine.

Each data set is generated in its published layout, loaded by `pbdb etl load` from its files to its published effects,
loaded again without change, checked by `pbdb db verify`, and its files are removed. Then matches, agreement, the index
of signatures and a snapshot. What a step measured is a line of FOLDER/compendium.jsonl; a run that was stopped goes on
behind the last line, and the step in which it was stopped begins anew (a load goes on where it was). Before each data
set the disk is looked at: effects that would not fit are left out, which its line says.

    python benchmarks/compendium.py --folder /some/large/disk [--shared ../shared] [--share 1.0] [--only op3 sciplex]

Needs about 150 GB of disk for all effects, 60 GB without Tahoe's. Generating is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common_full
import l1000_full
import lines
import made_up_names
import screens_full
import sources_full

GENERATORS = {
    **dict.fromkeys(("l1000_phase1", "l1000_phase2"), l1000_full.generate),
    **dict.fromkeys(("drugseq", "op3", "sciplex", "tahoe"), screens_full.generate),
    **dict.fromkeys(
        ("vcpi_0001", "vcpi_0002", "cigs_mce", "cigs_tcm", "gdpx2", "dilimap_train_val"), sources_full.generate
    ),
}
SOURCES = sources_full.SOURCES | screens_full.SOURCES | dict.fromkeys(l1000_full.LABELS, "l1000")
ORDER = (
    "op3", "sciplex", "gdpx2", "dilimap_train_val", "cigs_tcm", "vcpi_0002", "l1000_phase2", "cigs_mce", "vcpi_0001",
    "drugseq", "l1000_phase1", "tahoe",
)  # fmt: skip
PUBLISHED = {"contexts": 136, "samples": 1_250_881, "conditions": 418_580}
BYTES = {"log2_intensity": (4 + 4 + 4) * 4, "counts": (6 + 6 + 4) * 4}
"""Of a value of an effect: in the cache until it is published, and in both orientations in the database."""
SPARE = 6 << 30
IN_FITS = (
    "SELECT count(*) FILTER (WHERE NOT is_vehicle) AS samples, count(*) FILTER (WHERE is_vehicle) AS vehicles, "
    "count(DISTINCT condition_id) FILTER (WHERE NOT is_vehicle) AS conditions, count(DISTINCT context) AS contexts "
    "FROM (SELECT * FROM pbdb.sample WHERE in_fit) s JOIN pbdb.dataset d USING (dataset)"
)
"""Samples that no flag keeps out of a fit, and their conditions."""


class Refused(SystemExit):
    """A command that did not end well."""


class Run:
    """Where things are, and the lines of what is done."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.folder: Path = given.folder
        self.shared: Path = given.shared.resolve()
        self.share: float = given.share
        self.without: set[str] = set(given.without)
        self.home = self.folder / "home"
        self.path = self.folder / "compendium.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What is done."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.is_file() else []

    def add(self, **measured: Any) -> None:
        """Note what a step measured."""
        line = json.dumps({"name": "compendium", "share": self.share} | measured | lines.here())
        with self.path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def is_done(self, dataset: str | None, stage: str) -> bool:
        """Whether a line tells of it."""
        return any(line.get("dataset") == dataset and line.get("stage") == stage for line in self.lines)

    def pbdb(self, *words: str) -> tuple[float, int, str]:
        """Run a command; seconds, peak memory of its processes in MB, and what it printed."""
        environment = os.environ | {"PBDB_HOME": str(self.home)}
        command = [str(Path(sys.executable).with_name("pbdb")), *words]
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Refused(f"pbdb {' '.join(words)} ended with exit code {process.returncode}: {printed[-2000:]}")
        return round(time.perf_counter() - start, 2), usage.ru_maxrss // 1024, printed

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What a query answers."""
        answer = self.pbdb("sql", "--format", "json", query)[2]
        found: list[dict[str, Any]] = json.loads(answer)
        return found

    def size_mb(self) -> int:
        """Of the database."""
        return folder_mb(self.home / "server")


def main() -> None:
    """Run every step that has no line yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder; the server's user must enter it")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--share", type=float, default=1.0, help="share of the published size")
    parser.add_argument("--only", nargs="+", choices=ORDER, default=ORDER, help="these data sets")
    parser.add_argument("--without", nargs="+", choices=("verify", *COMMON), default=(), help="leave these steps out")
    parser.add_argument("--generate", help=argparse.SUPPRESS)
    given = parser.parse_args()
    run = Run(given)
    if given.generate:
        planned = GENERATORS[given.generate](given.generate, run.folder / "release", run.shared, run.share)
        print(json.dumps(planned))
        return
    vocabulary(run)
    for dataset in (name for name in ORDER if name in given.only):
        if not run.is_done(dataset, "done"):
            load(run, dataset)
    for stage, words in COMMON.items():
        if stage not in run.without and not run.is_done(None, stage):
            common(run, stage, words)
    row(run)


def vocabulary(run: Run) -> None:
    """Import genes, landmarks, and the names that CIGS gives to its compounds."""
    if run.is_done(None, "vocabulary"):
        return
    known = made_up_names.names(run.shared)
    cids = sorted({cid for dataset in ("cigs_mce", "cigs_tcm") for cid in known.cids(dataset)})
    hub = made_up_names.write_hub(run.folder, {f"Compound {cid}": cid for cid in cids}, run.shared)
    start = time.perf_counter()
    run.pbdb("vocab", "import", "genes", str(run.shared / made_up_names.GENES))
    run.pbdb("vocab", "import", "landmarks", str(l1000_full.gene_info_of(run.shared)))
    run.pbdb("vocab", "import", "repurposing_hub", *map(str, hub), "--release", "made up")
    run.add(dataset=None, stage="vocabulary", seconds=round(time.perf_counter() - start, 1))


def load(run: Run, dataset: str) -> None:
    """Generate, load, load again, verify, remove."""
    release = run.folder / "release"
    if not run.is_done(dataset, "generate") or not release.is_dir():
        shutil.rmtree(release, ignore_errors=True)
        start = time.perf_counter()
        words = ["--folder", str(run.folder), "--shared", str(run.shared), "--share", str(run.share)]
        subprocess.run([sys.executable, __file__, *words, "--generate", dataset], check=True)
        run.add(dataset=dataset, stage="generate", seconds=round(time.perf_counter() - start, 1), mb=folder_mb(release))
    missing = lacking_gb(run, dataset)
    before = run.size_mb()
    words = ["etl", "load", SOURCES[dataset], "--dataset", dataset, "--from", str(release)]
    words += ["--no-effects"] if missing else []
    seconds, peak, _ = run.pbdb(*words)
    for entry in run.rows(
        "SELECT stage, round(seconds::numeric, 1)::float8 AS seconds, peak_mb::int, rows_in, rows_out "
        f"FROM pbdb.etl_run WHERE dataset = '{dataset}' AND status = 'done' ORDER BY etl_run_id"
    ):
        run.add(dataset=dataset, **entry)
    again = run.pbdb(*words)[0]
    run.add(dataset=dataset, stage="reload", seconds=again)
    if "verify" not in run.without:
        checked, peak_of_check, _ = run.pbdb("db", "verify", dataset)
        run.add(dataset=dataset, stage="verify", seconds=checked, peak_mb=peak_of_check)
    cache = folder_mb(run.home / "cache")
    shutil.rmtree(release)
    shutil.rmtree(run.home / "cache" / SOURCES[dataset], ignore_errors=True)
    run.add(
        dataset=dataset, stage="done", seconds=seconds, peak_mb=peak, mb=run.size_mb() - before, cache_mb=cache,
        left_out=f"effects: {missing:.0f} GB of disk are missing" if missing else None,
        **contexts(run, dataset),
    )  # fmt: skip


def lacking_gb(run: Run, dataset: str) -> float:
    """GB that its effects would need beyond what is free; 0 where they fit."""
    numbers = common_full.published(dataset, run.shared, every_column=False)
    genes = published_genes(run.shared, dataset).reindex(numbers.index)
    values = float((numbers["treated_conditions"] * genes).sum()) * run.share
    readout = "log2_intensity" if dataset.startswith("l1000") else "counts"
    needed = values * BYTES[readout] + SPARE
    free = shutil.disk_usage(run.folder).free
    return max(0.0, (needed - free) / 1e9)


def published_genes(shared: Path, dataset: str) -> Any:
    """Tested genes by context."""
    import pandas as pd

    numbers = pd.read_csv(shared / "sources/contexts_reference.csv").drop_duplicates()
    numbers = numbers[(numbers["dataset"] == dataset) & (numbers["mode"] == "group_all_replicates")]
    return numbers[numbers["min_cells"].isin([0, 10])].set_index("context")["aggregated_genes"]


def contexts(run: Run, dataset: str) -> dict[str, Any]:
    """Samples and conditions, and how they differ from the published ones."""
    theirs = common_full.published(dataset, run.shared).sum()
    (ours,) = run.rows(f"{IN_FITS} WHERE dataset = '{dataset}'")
    published = {
        "samples": int(theirs["samples_in_model"] - theirs["control_samples"]),
        "vehicles": int(theirs["control_samples"]),
        "conditions": int(theirs["treated_conditions"]),
    }
    return {"ours": ours, "published": published}


COMMON = {
    "match": ("match", "run"),
    "agreement": ("agreement", "run"),
    "signature_index": ("signature", "index"),
    "snapshot": ("export", "snapshot", "--release", "benchmark", "--out", "{folder}/snapshot"),
    "snapshot_verify": ("snapshot", "verify", "{folder}/snapshot"),
}


def common(run: Run, stage: str, words: tuple[str, ...]) -> None:
    """One step over all data sets."""
    if stage == "snapshot" and shutil.disk_usage(run.folder).free < run.size_mb() * 0.7e6 + SPARE:
        run.add(dataset=None, stage=stage, left_out="the disk has no room for it")
        run.add(dataset=None, stage="snapshot_verify", left_out="there is no snapshot")
        return
    before = run.size_mb()
    try:
        seconds, peak, _ = run.pbdb(*(word.format(folder=run.folder) for word in words))
    except Refused as refusal:
        if run.share == 1:
            raise
        run.add(dataset=None, stage=stage, left_out=f"too little of a trial: {refusal}")
        return
    mb = folder_mb(run.folder / "snapshot") if stage == "snapshot" else run.size_mb() - before
    run.add(dataset=None, stage=stage, seconds=seconds, peak_mb=peak, mb=mb)


def row(run: Run) -> None:
    """The row of `compendium` beside the published figures, and the sum of seconds from extract to match."""
    (ours,) = run.rows(f"{IN_FITS} WHERE is_primary")
    (compendium,) = run.rows("SELECT * FROM pbdb.compendium")
    done = run.lines
    # Of a step with two lines, as after a kill between a load and the end of its lines, the last one.
    counted = {
        (line.get("dataset"), line["stage"]): line["seconds"]
        for line in done
        if line["stage"] in ("extract", "transform", "validate", "effects", "publish", "match") and "seconds" in line
    }
    left_out = {line["dataset"] or line["stage"]: line["left_out"] for line in done if line.get("left_out")}
    run.add(
        dataset=None,
        stage="row",
        seconds=round(sum(counted.values()), 1),
        ours=ours,
        compendium=compendium,
        published=PUBLISHED,
        left_out=left_out,
    )


def folder_mb(folder: Path) -> int:
    """Of all its files."""
    return sum(path.stat().st_size for path in walk(folder)) // 10**6


def walk(folder: Path) -> Iterator[Path]:
    """Files that are there while it walks."""
    for root, _, files in os.walk(folder):
        for name in files:
            path = Path(root) / name
            if path.is_file() and not path.is_symlink():
                yield path


if __name__ == "__main__":
    main()
