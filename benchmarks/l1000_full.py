"""Load both L1000 phases at their published numbers of samples, conditions and contexts, and report stage by stage.

Generates releases in the published layout from the real list of conditions (`condition_manifest_12datasets`) and the
published numbers by context (`contexts_reference.csv`), both in the folder of shared data: all profiles, those of
genetic perturbagens too; rows are the 978 landmarks and 1,000 others; chunks as published. Effects are planted, and
compared with what comes out. Needs about 30 GB of disk. Ends with one JSON line.

    python benchmarks/l1000_full.py --dataset l1000_phase1 l1000_phase2 --shared ../shared --folder /some/large/disk
    python benchmarks/l1000_full.py --dataset l1000_phase2 --share 0.01 --folder /some/large/disk   (some contexts)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common_full
import numpy as np
import numpy.typing as npt
import pandas as pd
from made_up_names import GENES, names

from pbdb.database.effect_arrays import N_LANDMARKS
from pbdb.simulate import l1000 as layout

Matrix = npt.NDArray[np.float32]
LABELS = {"l1000_phase1": "LINCS_phase1_level3_epsilon", "l1000_phase2": "LINCS_phase2_level3"}
N_PROFILES = {"l1000_phase1": 1_319_138, "l1000_phase2": 345_976}
N_OTHERS, CONDITIONS_A_PLATE = 1_000, 320
PROGRAMMES, FALL = 300, 0.6
CHUNK, PROFILES_A_BLOCK = (262, 1000), 26_200
LIMIT_S = 20 * 60


def main() -> None:
    """Generate, load and report."""
    sources = dict.fromkeys(LABELS, "l1000")
    common_full.main(common_full.Benchmark("l1000_full", str(__doc__), sources, LIMIT_S, generate, genes, compare))


def genes(release: Path, shared: Path) -> dict[str, Path]:
    """The gene table and the panel of landmarks."""
    return {"genes": shared / GENES, "landmarks": gene_info_of(shared)}


def compare(rows: common_full.Rows, dataset: str, folder: Path) -> dict[str, Any]:
    """Correlation and root mean square error of estimated and planted effects, over up to 500 conditions."""
    truth = Truth.read(folder, dataset)
    found = rows(
        "SELECT min(k.source_key), c.dose_um, e.log2_fc, s.gene_keys FROM core.effect e "
        "JOIN core.condition c USING (condition_id) JOIN core.fit f USING (fit_id) "
        "JOIN core.feature_set s USING (feature_set_id) JOIN core.source_compound k "
        "ON k.source_compound_id = c.source_compound_id JOIN core.dataset d ON d.dataset_id = e.dataset_id "
        "WHERE d.dataset = :dataset AND status = 'ok' AND e.effect_id % 97 = 0 "
        "GROUP BY e.effect_id, c.dose_um, e.log2_fc, s.gene_keys LIMIT 500"
    )
    entrez = dict(rows("SELECT gene_key, entrez_id FROM core.gene WHERE is_landmark"))
    ours = np.concatenate([np.array(log2_fc) for _, _, log2_fc, _ in found])
    planted = np.concatenate([truth.effect(key, dose, [entrez[g] for g in genes]) for key, dose, _, genes in found])
    r, rmse = float(np.corrcoef(ours, planted)[0, 1]), float(np.sqrt(((ours - planted) ** 2).mean()))
    return {"planted": {"conditions": len(found), "r": round(r, 4), "rmse": round(rmse, 4)}}


# --- generating ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """What is planted: few programmes of genes, mixed for each compound, reached by dose / (dose + 1).

    Programmes are as in benchmarks/signature_search.py: their strengths fall with a power of the rank, chosen so that
    the principal components explain as much as on a real plate. In units of each gene's noise in a well.
    """

    programmes: Matrix
    entrez: npt.NDArray[np.int64]

    @classmethod
    def make(cls, entrez: npt.NDArray[np.int64], spread: Matrix) -> Truth:
        """Programmes of the landmarks, which come first; the other genes answer to nothing."""
        share = np.arange(1, PROGRAMMES + 1) ** -FALL
        programmes = np.random.default_rng(4).standard_normal((PROGRAMMES, len(entrez))) * spread
        programmes[:, N_LANDMARKS:] = 0
        return cls((programmes * (share / np.linalg.norm(share))[:, None]).astype(np.float32), entrez)

    @classmethod
    def read(cls, folder: Path, dataset: str) -> Truth:
        """What `save` wrote."""
        stored = np.load(folder / f"{dataset}_truth.npz")
        return cls(stored["programmes"], stored["entrez"])

    def save(self, folder: Path, dataset: str) -> None:
        """Write it beside the release."""
        np.savez(folder / f"{dataset}_truth.npz", programmes=self.programmes, entrez=self.entrez)

    def profiles(self, cids: Iterable[int]) -> Matrix:
        """Log2 fold changes of compounds at a dose without end; compound 0, the vehicle, has none."""
        mixtures = np.stack([mixture_of(cid) if cid else np.zeros(PROGRAMMES, np.float32) for cid in cids])
        return mixtures @ self.programmes

    def effect(self, key: str, dose: float, genes: list[int]) -> Matrix:
        """Planted log2 fold changes of a condition; key: a pert_id, which holds the CID."""
        place = {int(gene): at for at, gene in enumerate(self.entrez)}
        found: Matrix = self.profiles([int(key[5:])])[0, [place[gene] for gene in genes]]
        return found * np.float32(dose / (dose + 1))


def mixture_of(cid: int) -> Matrix:
    """How much of each programme a compound sets off: most compounds little, some much."""
    chance = np.random.default_rng(cid)
    return (chance.gamma(1.0, 1.0) * chance.standard_normal(PROGRAMMES)).astype(np.float32)


def gene_info_of(shared: Path) -> Path:
    """GEO's table of genes."""
    return shared / "data/l1000/geo_GSE92742/GSE92742_Broad_LINCS_gene_info.txt.gz"


def generate(dataset: str, folder: Path, shared: Path, share: float) -> dict[str, int]:
    """Write one phase: matrix, tables; returns what was planned."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    numbers = common_full.published(dataset, shared)
    if share < 1:
        numbers = of_share(numbers, share)
    conditions = planned_conditions(dataset, shared, numbers)
    wells = planned_wells(dataset, conditions, numbers)
    n_extra = max(0, int(N_PROFILES[dataset] * share) - len(wells))
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


def of_share(numbers: pd.DataFrame, share: float) -> pd.DataFrame:
    """Contexts, large ones first, that together hold a share of all samples, or the smallest one."""
    sizes = numbers["samples_in_model"].sort_values(ascending=False, kind="stable")
    left, chosen = share * sizes.sum(), []
    for context, n_samples in sizes.items():
        if n_samples <= left:
            chosen.append(context)
            left -= n_samples
    return numbers.loc[chosen or sizes.index[-1:]]


def planned_conditions(dataset: str, shared: Path, numbers: pd.DataFrame) -> pd.DataFrame:
    """The real conditions of each context, filled up to the published number with further doses."""
    manifest = pd.read_parquet(shared / "data/condition_manifest_12datasets/df_annot_split.parquet")
    manifest = manifest[manifest["dataset"] == LABELS[dataset]]
    cid = pd.to_numeric(manifest["perturbation"], errors="coerce")
    known = manifest[["context", "time"]].assign(cid=cid, dose=(10 ** manifest["log_dose"]).round(4)).dropna()
    known = known[(known["dose"] > 0) & (known["cid"] != 679)].astype({"cid": int}).drop_duplicates()
    parts = [filled(str(context), known, n) for context, n in numbers["treated_conditions"].items()]
    return pd.concat(parts, ignore_index=True)


def filled(context: str, manifest: pd.DataFrame, n: int) -> pd.DataFrame:
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


def planned_wells(dataset: str, conditions: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    """Replicates of every condition on plates of its context and time, and the published number of vehicles."""
    parts = []
    for context, some in conditions.groupby("context", sort=True):
        n_samples, n_vehicles = numbers.loc[context, ["samples_in_model", "control_samples"]]
        parts.append(context_wells(some, n_samples - n_vehicles, n_vehicles))
    wells = pd.concat(parts, ignore_index=True)
    wells["cell_id"] = wells["context"].map(cell_ids())
    prefix = "CPC" if dataset == "l1000_phase1" else "REP.CPC"
    group, hours = wells["group"].astype(str).str.zfill(3), wells["time"].astype(int).astype(str)
    replicate = (wells["replicate"] + 1).astype(str)
    wells["plate"] = prefix + group + "_" + wells["cell_id"] + "_" + hours + "H_X" + replicate + "_B1"
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
    """A pert_id for each CID, and table pert_info with their structures."""
    cids = np.sort(wells.loc[wells["cid"] > 0, "cid"].unique())
    keys = {int(cid): f"BRD-K{cid:09d}" for cid in cids}
    known = names(shared)
    smiles = pd.Series([known.smiles(int(cid)) for cid in cids], index=cids)
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
    genes = genes.sort_values("pr_is_lm", ascending=False, kind="stable").head(N_LANDMARKS + N_OTHERS)
    level = rng.uniform(4, 13, len(genes)).astype(np.float32)
    spread = rng.gamma(4, 0.08, len(genes)).astype(np.float32)
    truth = Truth.make(genes["pr_gene_id"].to_numpy(), spread)
    truth.save(folder.parent, dataset)
    compound, cids = wells["cid"].factorize()
    profiles = truth.profiles(cids)
    scale = (wells["dose"] / (wells["dose"] + 1)).to_numpy(dtype=np.float32)
    plates = wells["plate"].factorize()[0]
    name = f"{layout.SERIES[dataset]}_Broad_LINCS_{layout.LEVEL3[dataset]}.gctx"
    writer = gctx.Writer(folder / name, pd.DataFrame(index=genes["pr_gene_id"].astype(str)), level=None, chunk=CHUNK)
    shift = np.random.default_rng(5).normal(0, 0.3, (997, len(genes))).astype(np.float32)
    noise = rng.standard_normal((4096 + PROFILES_A_BLOCK, len(genes)), dtype=np.float32) * spread
    for start in range(0, len(wells), PROFILES_A_BLOCK):
        part = slice(start, min(start + PROFILES_A_BLOCK, len(wells)))
        fresh = rng.standard_normal((part.stop - start, len(genes)), dtype=np.float32) * spread
        planted = profiles[compound[part]] * scale[part, None]
        writer.add(level + shift[plates[part] % 997] + planted + fresh)
    for start in range(0, n_extra, PROFILES_A_BLOCK):
        n = min(PROFILES_A_BLOCK, n_extra - start)
        offset = (start // PROFILES_A_BLOCK * 97) % 4096
        writer.add(level + noise[offset : offset + n])
    writer.finish(pd.DataFrame(index=pd.Index([*wells["inst_id"], *extra_ids(n_extra)], name="id")))


if __name__ == "__main__":
    main()
