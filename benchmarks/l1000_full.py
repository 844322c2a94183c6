"""Load both L1000 phases at their published numbers of samples, conditions and contexts, and report stage by stage.

Generates releases in the published layout from the real list of conditions (`condition_manifest_12datasets`) and the
published numbers by context (`contexts_reference.csv`), both in the folder of shared data: all profiles, those of
genetic perturbagens too; rows are the 978 landmarks and 1,000 others; chunks as published. Effects are planted, and
compared with what comes out. Needs about 30 GB of disk. Ends with one JSON line.

    python benchmarks/l1000_full.py --shared ../shared --folder /some/large/disk --phases 1 2
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pbdb.simulate import l1000 as layout

LABELS = {"l1000_phase1": "LINCS_phase1_level3_epsilon", "l1000_phase2": "LINCS_phase2_level3"}
N_PROFILES = {"l1000_phase1": 1_319_138, "l1000_phase2": 345_976}
N_OTHERS, N_CLASSES, RESPONDERS, CONDITIONS_A_PLATE = 1_000, 60, 80, 320
CHUNK, PROFILES_A_BLOCK = (262, 1000), 26_200
LIMIT_S = 20 * 60


def main() -> None:
    """Generate, load and report, each load in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder; the server's user must enter it")
    parser.add_argument("--phases", nargs="+", choices=["1", "2"], default=["1", "2"])
    parser.add_argument("--share", type=float, default=1.0, help="share of the contexts' profiles, for a trial")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(load(arguments.load, arguments.folder, arguments.shared)))
        return
    found = {}
    for phase in arguments.phases:
        dataset = f"l1000_phase{phase}"
        start = time.perf_counter()
        planned = generate(dataset, arguments.folder / "release", arguments.shared, arguments.share)
        print(f"{dataset} generated in {time.perf_counter() - start:.0f} s: {planned}", flush=True)
        found[dataset] = {"planned": planned} | in_process(dataset, arguments)
        print(json.dumps(found[dataset], indent=1), flush=True)
    print(json.dumps(line(found)))


def line(found: dict[str, Any]) -> dict[str, object]:
    """The figures as they are collected: seconds from extract to loaded effects of the first phase loaded."""
    first = next(iter(found.values()))
    return {
        "name": "l1000_full",
        "ours": round(first["seconds"]),
        "peer": LIMIT_S,
        "peer_name": "the budget in seconds",
        "ratio": round(first["seconds"] / LIMIT_S, 3),
        "peak_rss_mb": max(one["peak_rss_mb"] for one in found.values()),
        "sizes": {dataset: one["loaded"] for dataset, one in found.items()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def in_process(dataset: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Load one phase in a process of its own."""
    command = [sys.executable, __file__, "--load", dataset, "--folder", str(arguments.folder)]
    done = subprocess.run([*command, "--shared", str(arguments.shared)], check=True, stdout=subprocess.PIPE)
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


# --- loading and looking -------------------------------------------------------------------------------------


def load(dataset: str, folder: Path, shared: Path) -> dict[str, Any]:
    """Load a phase into the embedded server of the folder, and ask the database what is there."""
    from pbdb import database, registry, run, server, vocabulary
    from pbdb.config import Settings

    settings = Settings(home=folder / "home", workers=os.cpu_count() or 1)
    database.ready(settings)
    import_genes(settings, shared, vocabulary)
    start, cpu = time.perf_counter(), time.process_time()
    choices = run.Choices(folder=folder / "release")
    (outcome,) = run.load_source(registry.get("l1000"), settings, choices, dataset=dataset, reporter=Talk())
    seconds = time.perf_counter() - start
    peak = peak_mb()
    with server.engine(settings).connect() as connection:
        looked = look(connection, dataset, folder)
    server.stop(settings)
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "load_average": os.getloadavg()[1],
        "peak_rss_mb": round(peak),
        "outcome": outcome,
    } | looked


def peak_mb() -> float:
    """Peak memory of this process; the usage that is asked for elsewhere counts that of the process it came from."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Talk:
    """Says what each stage did, with the time since the last one, to stderr."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def stage(self, stage: str, message: str) -> None:
        """A stage ended."""
        now = time.perf_counter()
        used = f"{now - self._since:.1f} s, {time.process_time():.0f} s of CPU so far, peak {peak_mb():.0f} MB"
        print(f"{stage}: {message} [{used}]", file=sys.stderr, flush=True)
        self._since = now

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Say nothing."""


def import_genes(settings: Any, shared: Path, vocabulary: Any) -> None:
    """Import the gene table and the panel, unless they are there."""
    from pbdb import server

    with server.engine(settings).connect() as connection:
        if vocabulary.current(connection, vocabulary.GENES) is not None:
            return
    genes = shared / "data/reference/genes/embl_perturbation_catalogue_genes.parquet"
    vocabulary.import_files(settings, "genes", genes)
    vocabulary.import_files(settings, "landmarks", gene_info_of(shared))


def look(connection: Any, dataset: str, folder: Path) -> dict[str, Any]:
    """Numbers of the database, and how near the effects are to those planted."""
    from sqlalchemy import text

    def rows(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(text(query), {"dataset": dataset})]

    within = "dataset_id = (SELECT dataset_id FROM core.dataset WHERE dataset = :dataset)"
    ((samples, vehicles),) = rows(
        f"SELECT count(*), count(*) FILTER (WHERE is_vehicle) FROM core.sample WHERE {within}"
    )
    statuses = dict(rows(f"SELECT status, count(*) FROM core.effect WHERE {within} GROUP BY 1"))
    ((contexts,),) = rows(f"SELECT count(DISTINCT context_id) FROM core.condition WHERE {within}")
    stages = rows(
        "SELECT stage, round(seconds::numeric, 1)::float8, round(peak_mb::numeric)::int FROM core.etl_run "
        "WHERE dataset = :dataset AND status = 'done' ORDER BY etl_run_id"
    )
    missing = rows(
        f"SELECT context_name, time_h, count(*) FROM core.effect e JOIN core.condition c USING (condition_id) "
        f"JOIN core.context x USING (context_id) WHERE e.{within} AND status = 'no_vehicle' GROUP BY 1, 2"
    )
    loaded = {"samples": samples, "vehicles": vehicles, "contexts": contexts, "conditions": sum(statuses.values())}
    return {
        "loaded": loaded | {"statuses": statuses},
        "without_vehicle": missing,
        "stages": {stage: {"seconds": seconds, "peak_mb": peak} for stage, seconds, peak in stages},
        "planted": compare(rows, within, dataset, folder),
    }


def compare(rows: Any, within: str, dataset: str, folder: Path) -> dict[str, float]:
    """Correlation and root mean square error of estimated and planted effects, over 500 conditions."""
    truth = Truth.read(folder, dataset)
    found = rows(
        f"SELECT min(k.source_key), c.dose_um, e.log2_fc, s.gene_keys FROM core.effect e "
        f"JOIN core.condition c USING (condition_id) JOIN core.fit f USING (fit_id) "
        f"JOIN core.feature_set s USING (feature_set_id) JOIN core.source_compound k "
        f"ON k.source_compound_id = c.source_compound_id WHERE e.{within} AND status = 'ok' AND e.effect_id % 97 = 0 "
        "GROUP BY e.effect_id, c.dose_um, e.log2_fc, s.gene_keys LIMIT 500"
    )
    entrez = dict(rows("SELECT gene_key, entrez_id FROM core.gene WHERE is_landmark"))
    ours = np.concatenate([np.array(log2_fc) for _, _, log2_fc, _ in found])
    planted = np.concatenate([truth.effect(key, dose, [entrez[g] for g in genes]) for key, dose, _, genes in found])
    r = float(np.corrcoef(ours, planted)[0, 1])
    return {
        "conditions": len(found),
        "r": round(r, 4),
        "rmse": round(float(np.sqrt(((ours - planted) ** 2).mean())), 4),
    }


# --- generating ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """What is planted: a profile of log2 fold changes per class of compounds, reached by dose / (dose + 1)."""

    profiles: np.ndarray[Any, Any]
    entrez: np.ndarray[Any, Any]

    @classmethod
    def make(cls, entrez: np.ndarray[Any, Any], n_landmarks: int) -> Truth:
        """Profiles of RESPONDERS landmarks each."""
        rng = np.random.default_rng(4)
        profiles = np.zeros((N_CLASSES, len(entrez)), dtype=np.float32)
        for profile in profiles[1:]:
            profile[rng.choice(n_landmarks, RESPONDERS, replace=False)] = rng.normal(0, 1.5, RESPONDERS)
        return cls(profiles, entrez)

    @classmethod
    def read(cls, folder: Path, dataset: str) -> Truth:
        """What `save` wrote."""
        stored = np.load(folder / f"{dataset}_truth.npz")
        return cls(stored["profiles"], stored["entrez"])

    def save(self, folder: Path, dataset: str) -> None:
        """Write it beside the release."""
        np.savez(folder / f"{dataset}_truth.npz", profiles=self.profiles, entrez=self.entrez)

    def effect(self, key: str, dose: float, genes: list[int]) -> np.ndarray[Any, Any]:
        """Planted log2 fold changes of a condition."""
        place = {int(gene): at for at, gene in enumerate(self.entrez)}
        found: np.ndarray[Any, Any] = self.profiles[class_of(key)][[place[gene] for gene in genes]] * dose / (dose + 1)
        return found


def class_of(key: str) -> int:
    """Class of a compound: from the CID that its pert_ids hold."""
    return int(key[5:]) % N_CLASSES


def gene_info_of(shared: Path) -> Path:
    """GEO's table of genes."""
    return shared / "data/l1000/geo_GSE92742/GSE92742_Broad_LINCS_gene_info.txt.gz"


def generate(dataset: str, folder: Path, shared: Path, share: float) -> dict[str, int]:
    """Write one phase: matrix, tables; returns what was planned."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    conditions, numbers = planned_conditions(dataset, shared, share, rng)
    wells = planned_wells(dataset, conditions, numbers, rng)
    n_extra = int((N_PROFILES[dataset] - len(wells)) * share) if share < 1 else N_PROFILES[dataset] - len(wells)
    write_tables(dataset, folder, shared, wells, n_extra)
    write_matrix(dataset, folder, shared, wells, n_extra, rng)
    (folder / layout.TRUTH).write_text("see the file of planted profiles\n")
    treated = wells["cid"] > 0
    return {
        "samples": len(wells),
        "vehicles": int((~treated).sum()),
        "conditions": len(conditions),
        "contexts": len(numbers),
        "compounds": int(conditions["cid"].nunique()),
        "profiles": len(wells) + n_extra,
    }


def planned_conditions(
    dataset: str, shared: Path, share: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The real conditions of each context, filled up to the published number with further doses."""
    numbers = pd.read_csv(shared / "sources/contexts_reference.csv")
    numbers = numbers[(numbers["dataset"] == dataset) & (numbers["mode"] == "group_all_replicates")].set_index(
        "context"
    )
    manifest = pd.read_parquet(shared / "data/condition_manifest_12datasets/df_annot_split.parquet")
    manifest = manifest[manifest["dataset"] == LABELS[dataset]]
    manifest = pd.DataFrame(
        {
            "context": manifest["context"],
            "cid": pd.to_numeric(manifest["perturbation"], errors="coerce"),
            "dose": (10 ** manifest["log_dose"]).round(4),
            "time": manifest["time"],
        }
    ).dropna()
    manifest = manifest[(manifest["dose"] > 0) & (manifest["cid"] != 679)].astype({"cid": int}).drop_duplicates()
    if share < 1:
        numbers = numbers[numbers["samples_in_model"] < 3000]
    parts = [filled(context, manifest, int(row.treated_conditions), rng) for context, row in numbers.iterrows()]
    return pd.concat(parts, ignore_index=True), numbers


def filled(context: str, manifest: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Exactly n different conditions of a context."""
    known = manifest[manifest["context"] == context]
    without_vehicle = 8 if context == "CVCL_0063" and (manifest["time"] == 6).any() else 0
    if without_vehicle:
        known = known[known["time"] != 48]
    if known.empty:
        known = manifest.sample(40, random_state=1).assign(context=context, time=24.0)
    known = known.head(n - without_vehicle)
    base = known.sample(n - len(known), replace=True, random_state=2)
    further = base.assign(dose=100.0 + np.arange(len(base)) % 5000 + 0.01)
    if without_vehicle:
        further.iloc[:without_vehicle, further.columns.get_loc("time")] = 48.0
    return pd.concat([known, further], ignore_index=True)


def planned_wells(
    dataset: str, conditions: pd.DataFrame, numbers: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Replicates of every condition on plates of its context and time, and the published number of vehicles."""
    parts = []
    for context, some in conditions.groupby("context", sort=True):
        row = numbers.loc[context]
        parts.append(
            context_wells(some, int(row["samples_in_model"] - row["control_samples"]), int(row["control_samples"]))
        )
    wells = pd.concat(parts, ignore_index=True)
    cell = wells["context"].map(cell_ids())
    dot = "" if dataset == "l1000_phase1" else "REP."
    group = wells["group"].astype(str).str.zfill(3)
    hours = wells["time"].astype(int).astype(str)
    wells["plate"] = (
        dot + "CPC" + group + "_" + cell + "_" + hours + "H_X" + (wells["replicate"] + 1).astype(str) + "_B1"
    )
    wells["cell_id"] = cell
    wells["well"] = wells.groupby("plate").cumcount()
    wells["inst_id"] = wells["plate"] + ":" + (wells["well"] + 1).astype(str)
    order = wells["plate"].factorize()[0]
    return wells.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def context_wells(conditions: pd.DataFrame, n_treated: int, n_vehicles: int) -> pd.DataFrame:
    """Wells of one context; a group of plates holds up to 320 conditions of one time, a replicate on each."""
    conditions = conditions.sort_values("time", kind="stable").reset_index(drop=True)
    group = conditions.groupby("time").cumcount() // CONDITIONS_A_PLATE
    replicates = np.full(len(conditions), n_treated // len(conditions))
    replicates[: n_treated % len(conditions)] += 1
    wells = conditions.assign(group=group).loc[np.repeat(conditions.index, replicates)]
    wells["replicate"] = wells.groupby(level=0).cumcount()
    wells = wells.reset_index(drop=True)
    plates = wells.loc[~((wells["time"] == 48) & (wells["context"] == "CVCL_0063"))]
    plates = plates[["context", "time", "group", "replicate"]].drop_duplicates().sort_values("replicate", kind="stable")
    vehicles = plates.iloc[np.arange(n_vehicles) % len(plates)].assign(cid=0, dose=0.0)
    return pd.concat([wells, vehicles], ignore_index=True)


def cell_ids() -> dict[str, str]:
    """Names that cell_info has, by the context of the published numbers."""
    from pbdb.etl.l1000 import ACCESSIONS

    named = {f"CVCL_{accession}": cell for cell, accession in ACCESSIONS.items()}
    raw = ("CD34", "NEU", "NKDBA", "NPC", "PHH", "SKB", "ASC.C", "MNEU.E", "NPC.CAS9", "NPC.TAK", "SKL", "SKL.C")
    return named | {cell: cell for cell in raw}


def write_tables(dataset: str, folder: Path, shared: Path, wells: pd.DataFrame, n_extra: int) -> None:
    """Write inst_info, and the tables of GEO as they are; perturbagens with the structures that are known."""
    keys, perts = perturbagens(shared, wells)
    treated = (wells["cid"] > 0).to_numpy()
    pert = wells["cid"].map(keys).where(treated, "DMSO")
    second = treated & (wells["replicate"] >= 2).to_numpy() & (wells["cid"] % 20 == 0).to_numpy()
    inst = pd.DataFrame(
        {
            "inst_id": wells["inst_id"],
            ("rna_well" if dataset == "l1000_phase1" else "det_well"): wells["well"].astype(str),
            "det_plate": wells["plate"],
            "pert_id": pert.mask(second, pert.str.replace("BRD-K", "BRD-A")),
            "pert_iname": pert,
            "pert_type": np.where(treated, "trt_cp", "ctl_vehicle"),
            "pert_dose": np.where(treated, wells["dose"].map("{:g}".format), "0.1"),
            "pert_dose_unit": np.where(treated, "um", "%"),
            "pert_time": wells["time"].astype(int),
            "pert_time_unit": "h",
            "cell_id": wells["cell_id"],
        }
    )
    extra = pd.DataFrame({"inst_id": extra_ids(n_extra)}).assign(
        **{name: "-666" for name in inst.columns[1:]} | {"pert_type": "trt_sh", "cell_id": "A375"}
    )
    if dataset == "l1000_phase1":
        inst, extra = inst.drop(columns="det_plate"), extra.drop(columns="det_plate")
    tables = {"inst_info": pd.concat([inst, extra])}
    for kind in ("cell_info", "gene_info"):
        tables[kind] = pd.read_csv(
            next((shared / "data/l1000/geo_GSE92742").glob(f"*_{kind}.txt.gz")), sep="\t", dtype=str
        )
    for kind, table in tables.items():
        write_table(folder, dataset, kind, table)
    for phase in layout.SERIES:
        write_table(folder, phase, "pert_info", perts)


def extra_ids(n: int) -> list[str]:
    """Ids of the profiles of genetic perturbagens."""
    return [f"KDA{i // 384:05d}_A375_96H_X1_B1:{i % 384 + 1}" for i in range(n)]


def write_table(folder: Path, dataset: str, kind: str, table: pd.DataFrame) -> None:
    """Write a gzip table under its published name."""
    name = f"{layout.SERIES[dataset]}_Broad_LINCS_{kind}{layout.TABLE_DATES[dataset].get(kind, '')}.txt.gz"
    table.to_csv(folder / name, sep="\t", index=False, compression={"method": "gzip", "compresslevel": 1})


def perturbagens(shared: Path, wells: pd.DataFrame) -> tuple[dict[int, str], pd.DataFrame]:
    """A pert_id for each CID, and table pert_info: real structures where they are known and stand for one CID."""
    from pbdb.compounds import standardise_all

    cids = np.sort(wells.loc[wells["cid"] > 0, "cid"].unique())
    keys = {int(cid): f"BRD-K{cid:09d}" for cid in cids}
    told = pd.read_csv(shared / "data/l1000/dhimmel_lincs/pertinfo.tsv.gz", sep="\t", dtype=str)
    told = told.assign(cid=pd.to_numeric(told["pubchem_cid"], errors="coerce")).dropna(
        subset=["cid", "canonical_smiles"]
    )
    smiles = told.drop_duplicates("cid").set_index("cid")["canonical_smiles"].reindex(cids)
    standard = standardise_all(smiles.dropna(), workers=os.cpu_count() or 1)
    inchikeys = smiles.map(lambda s: getattr(standard.get(s), "inchikey", None))
    smiles = smiles.mask(inchikeys.isna() | inchikeys.duplicated())
    table = pd.DataFrame(
        {"pert_id": [keys[cid] for cid in cids], "canonical_smiles": smiles.to_numpy(), "pubchem_cid": cids}
    )
    twins = table.assign(pert_id=table["pert_id"].str.replace("BRD-K", "BRD-A"))
    dmso = pd.DataFrame([{"pert_id": "DMSO", "canonical_smiles": "CS(C)=O", "pubchem_cid": 679}])
    table = pd.concat([table, twins[twins["pubchem_cid"] % 20 == 0], dmso])
    table = table.assign(pert_iname=table["pert_id"], pert_type="trt_cp", inchi_key="-666")
    return keys, table.fillna("-666")


def write_matrix(
    dataset: str, folder: Path, shared: Path, wells: pd.DataFrame, n_extra: int, rng: np.random.Generator
) -> None:
    """Write levels, plate effects, planted effects and noise; profiles that are not loaded hold levels and noise."""
    from pbdb.readers import gctx

    genes = pd.read_csv(gene_info_of(shared), sep="\t")
    genes = genes.sort_values("pr_is_lm", ascending=False, kind="stable").head(978 + N_OTHERS)
    truth = Truth.make(genes["pr_gene_id"].to_numpy(), 978)
    truth.save(folder.parent, dataset)
    classes = wells["cid"].to_numpy() % N_CLASSES
    scale = (wells["dose"] / (wells["dose"] + 1)).to_numpy(dtype=np.float32)
    plates = wells["plate"].factorize()[0]
    level = rng.uniform(4, 13, len(genes)).astype(np.float32)
    spread = rng.gamma(4, 0.08, len(genes)).astype(np.float32)
    name = f"{layout.SERIES[dataset]}_Broad_LINCS_{layout.LEVEL3[dataset]}.gctx"
    writer = gctx.Writer(folder / name, pd.DataFrame(index=genes["pr_gene_id"].astype(str)), level=None, chunk=CHUNK)
    shift = np.random.default_rng(5).normal(0, 0.3, (997, len(genes))).astype(np.float32)
    noise = rng.standard_normal((4096 + PROFILES_A_BLOCK, len(genes)), dtype=np.float32) * spread
    for start in range(0, len(wells), PROFILES_A_BLOCK):
        part = slice(start, min(start + PROFILES_A_BLOCK, len(wells)))
        fresh = rng.standard_normal((part.stop - start, len(genes)), dtype=np.float32) * spread
        planted = truth.profiles[classes[part]] * scale[part, None]
        writer.add(level + shift[plates[part] % 997] + planted + fresh)
    for start in range(0, n_extra, PROFILES_A_BLOCK):
        n = min(PROFILES_A_BLOCK, n_extra - start)
        offset = (start // PROFILES_A_BLOCK * 97) % 4096
        writer.add(level + noise[offset : offset + n])
    writer.finish(pd.DataFrame(index=pd.Index([*wells["inst_id"], *extra_ids(n_extra)], name="id")))


if __name__ == "__main__":
    main()
