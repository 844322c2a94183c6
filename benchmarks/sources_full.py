"""Load the plate and targeted sources at their published shapes, and report stage by stage.

Generates one release in its published layout, streaming to disk, with the published numbers of wells of every kind and
of genes; loads it as `pbdb etl load` does, in a process of its own; and compares samples, controls, conditions and
contexts with the published ones (`contexts_reference.csv` in the folder of shared data). Effects are planted. Ends with
one JSON line. A release needs up to 2 GB of disk, its load up to 10 GB.

    python benchmarks/sources_full.py --dataset gdpx2 --shared ../shared --folder /some/large/disk
    python benchmarks/sources_full.py --dataset cigs_mce --share 0.05 --folder /some/large/disk   (a twentieth)
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import common_full
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from made_up_names import Names, names

LIMIT_S = 10 * 60
SOURCES = {
    "vcpi_0001": "vcpi", "vcpi_0002": "vcpi", "gdpx2": "gdpx2", "dilimap_train": "dilimap",
    "dilimap_train_val": "dilimap", "cigs_mce": "cigs", "cigs_tcm": "cigs",
}  # fmt: skip
ROWS = 512


def main() -> None:
    """Generate, load and report."""
    common_full.main(
        common_full.Benchmark("sources_full", str(__doc__), SOURCES, LIMIT_S, generate, common_full.real_genes)
    )


def generate(dataset: str, folder: Path, shared: Path, scale: float) -> dict[str, int]:
    """Write a release; returns its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth.csv").write_text("effects are planted by class of compounds\n")
    planned: dict[str, int] = GENERATORS[SOURCES[dataset]](dataset, folder, scale, names(shared))
    return planned


class Counts:
    """Counts around planted effects: a profile for each class of compounds, reached by dose / (dose + 1)."""

    def __init__(self, n_genes: int, n_expressed: int, seed: int, sigma: float = 1.7):
        self.rng = np.random.default_rng(seed)
        level = np.zeros(n_genes)
        level[:n_expressed] = self.rng.lognormal(0, sigma, n_expressed)
        self.share = self.rng.permutation(level / level.sum())
        self.expressed = np.flatnonzero(self.share)
        profiles = np.zeros((40, n_expressed))
        for profile in profiles[1:]:
            chosen = self.rng.choice(n_expressed, min(200, n_expressed // 4), replace=False)
            profile[chosen] = self.rng.normal(0, 1.2, len(chosen))
        self.profiles = profiles

    def of(self, wells: pd.DataFrame, noise: float = 0.0) -> np.ndarray[Any, Any]:
        """Counts of the expressed genes, wells x genes; compound -1 is vehicle, library the expected total.

        noise: log2 standard deviation beyond Poisson's, about; it differs between conditions, and not within one.
        """
        strength = (wells["dose"] / (wells["dose"] + 1)).to_numpy()[:, None]
        treated = (wells["compound"] >= 0).to_numpy()
        shift = self.profiles[wells["compound"].to_numpy() % 40] * strength * treated[:, None]
        if noise:
            own = 0.5 + (7 * wells["compound"] + 10 * wells["dose"]).round().to_numpy() % 11 / 10
            shift += noise * own[:, None] * self.rng.standard_normal(shift.shape)
        mean = self.share[self.expressed] * wells["library"].to_numpy()[:, None] * np.exp2(shift)
        return self.rng.poisson(mean)

    def blocks(
        self, wells: pd.DataFrame, n_genes: int, noise: float = 0.0, rows: int = ROWS
    ) -> Iterator[sp.csr_matrix]:
        """The same, some wells at a time, as CSR of all genes."""
        for start in range(0, len(wells), rows):
            counts = sp.csr_matrix(self.of(wells.iloc[start : start + rows], noise))
            places = (counts.data, self.expressed[counts.indices], counts.indptr)
            yield sp.csr_matrix(places, (counts.shape[0], n_genes))


def treated(n_compounds: int, doses: list[float], n_conditions: int, n_wells: int) -> pd.DataFrame:
    """Wells of the first conditions of compounds x doses; all of them have as many replicates as can be, or one more.

    Rows stand replicate by replicate, so that those of a condition come to lie on different plates.
    """
    pairs = [(compound, dose) for dose in doses for compound in range(n_compounds)][:n_conditions]
    again = -(-n_wells // n_conditions)
    return pd.DataFrame(pairs * again, columns=["compound", "dose"])[:n_wells].assign(kind="treated")


def others(kind: str, n: int, compound: int = -1) -> pd.DataFrame:
    """Wells of one kind."""
    return pd.DataFrame({"compound": np.full(n, compound), "dose": 0.0, "kind": kind})


def spread(parts: list[pd.DataFrame], n_plates: int) -> pd.DataFrame:
    """Wells of every kind evenly over plates, with places on them."""
    placed = [part.assign(plate=np.arange(len(part)) * n_plates // max(len(part), 1)) for part in parts]
    wells = pd.concat(placed, ignore_index=True)
    return wells.assign(place=wells.groupby("plate").cumcount())


def scaled(number: int, scale: float, least: int = 1) -> int:
    """A share of a number, at least so many."""
    return number if scale == 1 else max(least, round(number * scale))


# --- VCPI ----------------------------------------------------------------------------------------------------

VCPI = {  # compounds, conditions, treated, vehicle and reference wells, plates
    "vcpi_0001": (2277, 13_661, 26_969, 608, 1211, 77),
    "vcpi_0002": (1493, 8_957, 17_791, 406, 813, 51),
}
N_VCPI_GENES, N_SPIKES, N_VCPI_EXPRESSED, GENE_PARTS = 78_686, 92, 22_000, 4


def vcpi(dataset: str, folder: Path, scale: float, known: Names) -> dict[str, int]:
    """The three tables of a release; the wide one in row groups of genes."""
    compounds, conditions, n_treated, n_vehicles, n_references, plates = VCPI[dataset]
    n_compounds = scaled(compounds, scale, 5)
    n_conditions = conditions if scale == 1 else n_compounds * 6
    some = treated(n_compounds, [0.03, 0.1, 0.3, 1.0, 3.0, 10.0], n_conditions, scaled(n_treated, scale, n_conditions))
    references = others("reference", scaled(n_references, scale, 4), -2)
    vehicles = others("vehicle", scaled(n_vehicles, scale, 16))
    wells = spread([some, vehicles, references], scaled(plates, scale, 2))
    rng = np.random.default_rng(3)
    wells["library"] = 150_000 * rng.lognormal(0, 0.3, len(wells))
    wells["name"] = [str(100_000_000 + at) for at in range(len(wells))]
    release = dataset.replace("_", "-")
    n_genes = scaled(N_VCPI_GENES + N_SPIKES, scale, 3000)
    wide_table(
        folder / f"{release}_data.parquet",
        wells,
        known.gene_ids(n_genes - N_SPIKES),
        scaled(N_VCPI_EXPRESSED, scale, 1000),
    )
    keys = wells["compound"].map(lambda at: f"uuid-{at}")
    metadata = {
        "sequenced_id": wells["name"], "container_id": "P-" + wells["plate"].astype(str),
        "row_id": wells["place"] // 24, "column_id": wells["place"] % 24, "compound": keys,
        "user_compound_id": np.where(wells["compound"] == -1, "DMSO", wells["compound"].astype(str)),
        "compound_concentration": np.where(wells["kind"] == "treated", wells["dose"] * 1000, 0.15),
        "compound_concentration_unit": np.where(wells["compound"] == -1, "%", "nM"), "timepoint": "24h",
        "cell_line": "THP-1", "is_control": np.where(wells["kind"] == "treated", "False", "True"),
    }  # fmt: skip
    pd.DataFrame(metadata).to_parquet(folder / f"{release}_metadata.parquet")
    numbers = wells["compound"].drop_duplicates()
    chemistry = {"compound": keys.unique(), "user_compound_id": numbers.astype(str), "inchi_key": None,
                 "canonical_smiles": known.structures(dataset, numbers)}  # fmt: skip
    pd.DataFrame(chemistry).to_parquet(folder / f"{release}_chemistry.parquet")
    return {"samples": len(wells), "genes": n_genes, "conditions": n_conditions}


def wide_table(path: Path, wells: pd.DataFrame, gene_ids: list[str], n_expressed: int) -> None:
    """Genes x wells, one column a well, in a few row groups; each part has genes and profiles of its own."""
    features = gene_ids + [f"ERCC-{at:05d}" for at in range(N_SPIKES)]
    writer = None
    for part, some in enumerate(np.array_split(np.array(features, dtype=object), GENE_PARTS)):
        counts = Counts(len(some), n_expressed // GENE_PARTS, part)
        values = np.zeros((len(wells), len(some)), dtype=np.uint16)
        for start in range(0, len(wells), ROWS):
            rows = wells.iloc[start : start + ROWS]
            values[start : start + ROWS, counts.expressed] = counts.of(
                rows.assign(library=rows["library"] / GENE_PARTS)
            )
        columns = {"gene_id": pa.array(some), **{name: pa.array(values[at]) for at, name in enumerate(wells["name"])}}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=len(some))
    assert writer is not None
    writer.close()


# --- GDPx2 ---------------------------------------------------------------------------------------------------

LEVELS = {0.0625: [0.3, 0.0095], 0.1875: [0.9, 0.0285], 0.625: [3.0, 0.095]}
CELLS = ("aortic smooth muscle cell", "epithelial melanocyte", "fibroblast of dermis", "skeletal muscle myoblast")


def gdpx2(dataset: str, folder: Path, scale: float, known: Names) -> dict[str, int]:
    """Matrix, curated tables and compounds: 12 groups of 744 treated and 48 vehicle wells, and reference wells."""
    n_compounds = scaled(86, scale, 4)
    parts = []
    for cell in CELLS:
        for level, doses in LEVELS.items():
            kinds = [treated(n_compounds, doses, 2 * n_compounds, scaled(744, scale, 8 * n_compounds))]
            kinds += [others("vehicle", 48 if scale == 1 else 12), others("reference", scaled(192, scale), -2)]
            parts.append(spread(kinds, 8 if scale == 1 else 2).assign(cell=cell, level=level))
    wells = pd.concat(parts, ignore_index=True)
    wells["library"] = 300_000 * np.random.default_rng(3).lognormal(0, 0.3, len(wells))
    n_known, n_unknown = scaled(39_115, scale, 2000), scaled(20_312, scale, 100)
    index = pd.Index([f"seq{at}" for at in range(len(wells))])
    var = pd.DataFrame(
        {
            "ensembl_gene_id": known.gene_ids(n_known) + [None] * n_unknown,
            "symbol": [f"S{a}" for a in range(n_known + n_unknown)],
        },
        index=[f"g{at}" for at in range(n_known + n_unknown)],
    )
    counts = Counts(n_known, scaled(20_000, scale, 1000), 5)
    csr_file(folder / "X.h5ad", counts.blocks(wells, len(var)), pd.DataFrame(index=index), var[[]])
    dose = np.where(wells["compound"] == -1, wells["level"].astype(str) + "%", wells["dose"].map("{:g}uM".format))
    obs = {
        "container_id": wells["cell"] + wells["plate"].astype(str), "row_id": wells["place"], "column_id": 1,
        "pert_name": "name-" + wells["compound"].astype(str), "pert_dose": dose, "pert_time": "24.0h",
        "percent_volume_dmso": wells["level"], "compound": "uuid-" + wells["compound"].astype(str),
        "sample_type": wells["kind"].map({"treated": "Sample", "vehicle": "Ginkgo Neg Control - DMSO",
                                          "reference": "Ginkgo Pos Control"}),
        "cell_type": wells["cell"],
    }  # fmt: skip
    pd.DataFrame(obs).set_index(index).to_parquet(folder / "obs.parquet")
    var.to_parquet(folder / "var.parquet")
    numbers = wells["compound"].drop_duplicates()
    chemistry = {"compound": "uuid-" + numbers.astype(str), "smiles": known.structures(dataset, numbers)}
    pd.DataFrame(chemistry).assign(inchi_key="").to_csv(folder / "compounds-GDPx2-2026-02-09.csv", index=False)
    return {"samples": len(wells), "genes": len(var), "conditions": 24 * n_compounds}


def csr_file(path: Path, blocks: Iterator[sp.csr_matrix], obs: pd.DataFrame, var: pd.DataFrame) -> None:
    """Write an AnnData file block by block."""
    from anndata.io import write_elem

    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        for name, kind in (("data", "f4"), ("indices", "i4")):
            packed = {"compression": "gzip", "compression_opts": 1}
            group.create_dataset(name, (0,), kind, chunks=1 << 18, maxshape=(None,), **packed)
        ends = [np.zeros(1, dtype=np.int64)]
        for block in blocks:
            start = group["data"].shape[0]
            for name, values in (("data", block.data), ("indices", block.indices)):
                group[name].resize((start + len(values),))
                group[name][start:] = values
            ends.append(block.indptr[1:].astype(np.int64) + start)
        group.create_dataset("indptr", data=np.concatenate(ends))
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (len(obs), len(var))})
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_elem(file, "obs", obs)
        write_elem(file, "var", var)


# --- DILImap -------------------------------------------------------------------------------------------------

DILIMAP = {  # compounds, conditions, treated and vehicle wells that pass; failing LDH, counts, agreement; plates
    "train": (251, 994, 3082, 378, (593, 57, 65), 52),
    "val": (50, 198, 609, 79, (65, 6, 21), 10),
}
N_DILIMAP_GENES, N_DILIMAP_EXPRESSED, N_REPLACED = 58_676, 24_000, 40


def dilimap(dataset: str, folder: Path, scale: float, known: Names) -> dict[str, int]:
    """Counts of one or both splits, and the label table."""
    n_genes = scaled(N_DILIMAP_GENES, scale, 4000)
    splits = {"train": "training"} if dataset == "dilimap_train" else {"train": "training", "val": "validation"}
    counts = Counts(n_genes, scaled(N_DILIMAP_EXPRESSED, scale, 2000), 7, sigma=0.8)
    counts.share[counts.expressed[:200]] *= 0.001  # mitochondrial genes are among these
    symbols = [f"S{at}" for at in range(n_genes)]
    for at in counts.expressed[:13]:
        symbols[at] = f"MT-{at}"
    var = pd.DataFrame({"gene_id": known.gene_ids(n_genes)}, index=symbols)
    n_wells, n_conditions = 0, 0
    for split, name in splits.items():
        wells = dilimap_wells(split, scale)
        n_wells += len(wells)
        n_conditions += len(wells.loc[wells["kind"] == "treated", ["compound", "dose"]].drop_duplicates())
        path = folder / f"adata_{name}_counts.h5ad"
        csr_file(path, counts.blocks(wells, n_genes, noise=0.03), dilimap_obs(wells, split), var)
        garble(path, np.flatnonzero(wells["kind"] == "correlation"))
    numbers = pd.Series(range(len(known.cids(dataset))))
    labels = {"compound_name": "C" + numbers.astype(str), "smiles": known.structures(dataset, numbers)}
    pd.DataFrame(labels).to_csv(folder / "compound_DILI_labels.csv", index=False)
    return {"samples": n_wells, "genes": n_genes, "conditions": n_conditions}


def dilimap_wells(split: str, scale: float) -> pd.DataFrame:
    """Wells of a split: replicates of a condition on one plate; those that fail are further replicates."""
    compounds, conditions, n_treated, n_vehicles, failing, plates = DILIMAP[split]
    n_compounds, n_plates = scaled(compounds, scale, 10), scaled(plates, scale, 2)
    n_conditions = conditions if scale == 1 else n_compounds * 4
    good = treated(n_compounds, [1.0, 3.3, 10.0, 33.0], n_conditions, scaled(n_treated, scale, 3 * n_conditions))
    kinds = ("ldh", "counts", "correlation")
    n_failing = dict(zip(kinds, (scaled(n, scale, 2) for n in failing), strict=True))
    n_failing["ldh"] -= N_REPLACED if split == "train" and scale == 1 else 0
    bad = pd.concat([good.iloc[at::3].head(n).assign(kind=kind) for at, (kind, n) in enumerate(n_failing.items())])
    both = pd.concat([good, bad], ignore_index=True)
    both["plate"] = both.groupby(["compound", "dose"], sort=False).ngroup() * n_plates // n_conditions
    vehicles = others("vehicle", scaled(n_vehicles, scale, 16))
    vehicles["plate"] = np.arange(len(vehicles)) % n_plates
    replaced = others("replaced", N_REPLACED if split == "train" and scale == 1 else 0, -2)
    replaced["plate"] = np.arange(len(replaced)) // 2 % n_plates
    wells = pd.concat([both, vehicles, replaced], ignore_index=True).sort_values(
        "plate", kind="stable", ignore_index=True
    )
    spread_of = 10 ** np.random.default_rng(9).uniform(-0.1, 0.1, len(wells))
    wells["library"] = 5e6 * spread_of * np.where(wells["kind"] == "counts", 0.1, 1.0)
    wells["place"] = wells.groupby("plate").cumcount()
    return wells.assign(compound=wells["compound"] + (1000 if split == "val" else 0) * (wells["compound"] >= 0))


def dilimap_obs(wells: pd.DataFrame, split: str) -> pd.DataFrame:
    """The published columns; 10 uM is written as 10.003 on every third plate."""
    written = wells["dose"].mask((wells["dose"] == 10) & (wells["plate"] % 3 == 0), 10.003)
    compound = np.select([wells["compound"] == -1, wells["compound"] == -2], ["DMSO", "DMSO_replaced"],
                         "C" + wells["compound"].astype(str))  # fmt: skip
    columns = {
        "COMPOUND": compound, "CONCENTRATION_UM": written, "TIMEPOINT_HOURS": 24,
        "PLATE_NAME": split + wells["plate"].astype(str), "WELL_ID": "W" + wells["place"].astype(str),
        "LIBRARY_ID": "L", "SPECIES": "human", "BATCH_ID": "1", "SPLIT": split,
        "LDH_QC": np.where(wells["kind"] == "ldh", "high", ""),
        "CMPD_DOSE": pd.Series(compound) + "_" + written.astype(str),
    }  # fmt: skip
    return pd.DataFrame(columns).set_index("W" + wells.index.astype(str))


def garble(path: Path, rows: np.ndarray[Any, Any]) -> None:
    """Put the counts of these wells onto other genes."""
    rng = np.random.default_rng(1)
    with h5py.File(path, "a") as file:
        ends = file["X/indptr"][:]
        for row in rows:
            file["X/data"][ends[row] : ends[row + 1]] = rng.permutation(file["X/data"][ends[row] : ends[row + 1]])


# --- CIGS ----------------------------------------------------------------------------------------------------

CIGS = {  # dataset; compounds, treated, vehicle, blank, excluded (blank among them), low depth, JQ1; plates
    "mce_hek293t_10uM": ("cigs_mce", 10_877, 30_527, 798, 4860, (1130, 122), 2660, 803, 105),
    "mce_mda_mb_231_10uM": ("cigs_mce", 11_136, 31_564, 833, 5075, (0, 0), 2701, 698, 108),
    "tcm_hek293t_10": ("cigs_tcm", 1846, 5335, 357, 0, (0, 0), 278, 345, 20),
    "tcm_hek293t_20": ("cigs_tcm", 1801, 5229, 356, 0, (0, 0), 385, 345, 20),
    "tcm_mda_mb_231_10": ("cigs_tcm", 1836, 5357, 360, 0, (0, 0), 220, 320, 20),
    "tcm_mda_mb_231_20": ("cigs_tcm", 1778, 5191, 360, 0, (0, 0), 445, 319, 20),
}
N_CIGS_GENES, N_CIGS_UNKNOWN = 3300, 107


def cigs(dataset: str, folder: Path, scale: float, known: Names) -> dict[str, int]:
    """Spreadsheets of every file of a collection, and the supplement."""
    from pbdb.etl.cigs import SUBSETS, SUPPLEMENT

    from pbdb.simulate import xlsxwrite

    n_genes, n_wells, n_conditions = scaled(N_CIGS_GENES, scale, 800), 0, 0
    symbols = known.symbols(n_genes)
    counts = Counts(n_genes + N_CIGS_UNKNOWN, n_genes, 11)
    for key in [one for one, facts in CIGS.items() if facts[0] == dataset]:
        wells = cigs_wells(key, scale)
        n_wells, n_conditions = n_wells + len(wells), n_conditions + scaled(CIGS[key][1], scale, 10)
        name = SUBSETS[key].name
        rows = cigs_rows(dataset, wells, symbols, counts)
        xlsxwrite.save(folder / f"{name}_Counts.xlsx", {"Sheet1": rows}, level=1)
        xlsxwrite.save(folder / f"{name}_MetaData.xlsx", {"Sheet1": cigs_metadata(key, wells)}, level=1)
    headings = (["Name", "Number", "CAS", "Mechanism", "Clinical", "Approval"], ["Name", "Number", "CAS"])
    listed = [[f"Compound {cid}", f"Cpd{at:05d}", ""] for at, cid in enumerate(known.cids(dataset))]
    of_set = {"cigs_mce": 3, "cigs_tcm": 4}[dataset]
    sheets = {
        f"Supplementary Table {at}": [["Title"], heading, *([*row, "", "", ""][: len(heading)] for row in listed)]
        if at == of_set
        else [["Title"], heading]
        for at, heading in enumerate(headings, start=3)
    }
    xlsxwrite.save(folder / SUPPLEMENT, sheets)
    return {"samples": n_wells, "genes": n_genes + N_CIGS_UNKNOWN, "conditions": n_conditions}


def cigs_wells(key: str, scale: float) -> pd.DataFrame:
    """Wells of a file; depth is even over one power of two, so that those planted low are low and no others."""
    _, compounds, n_treated, n_vehicles, n_blank, (n_excluded, n_lost), n_low, n_reference, plates = CIGS[key]
    n_compounds = scaled(compounds, scale, 10)
    good = treated(n_compounds, [10.0], n_compounds, scaled(n_treated, scale, 3 * n_compounds))
    low = good.head(scaled(n_low, scale)).assign(kind="low")
    kinds = [good, low, others("vehicle", scaled(n_vehicles, scale, 16)), others("JQ1", scaled(n_reference, scale), -2)]
    kinds += [others("blank", scaled(n_blank, scale), -3)] if n_blank else []
    wells = spread(kinds, scaled(plates, scale, 2)).assign(excluded=False)
    if n_excluded:
        lost = [good.head(scaled(n_excluded - n_lost, scale)), others("blank", scaled(n_lost, scale), -3)]
        wells = pd.concat([wells, spread(lost, 3).assign(excluded=True)], ignore_index=True)
    depth = 2 ** np.random.default_rng(13).uniform(16, 17, len(wells))
    wells["library"] = depth * wells["kind"].map({"low": 0.05, "blank": 0.01}).fillna(1.0)
    return wells


def cigs_rows(dataset: str, wells: pd.DataFrame, symbols: list[str], counts: Counts) -> Iterator[list[Any]]:
    """Note, heading with a date, samples."""
    unknown = [f"UNKNOWN{at}" for at in range(N_CIGS_UNKNOWN - 1)]
    names = [*symbols, *unknown, datetime(2024, 9, 7)]
    yield ["Note: non-commercial research use only"]
    yield ["Sample_id" if dataset == "cigs_mce" else "Sample_unique_id", *names]
    for start in range(0, len(wells), ROWS):
        some = wells.iloc[start : start + ROWS]
        values = np.ones((len(some), len(names)), dtype=np.int64)
        values[:, : len(symbols)] = counts.of(some)
        for at, row in zip(some.index, values.tolist(), strict=True):
            yield [f"S{at}", *row]


def cigs_metadata(key: str, wells: pd.DataFrame) -> list[list[Any]]:
    """The sample table of a file."""
    from pbdb.etl.cigs import SHEETS

    named = {-1: "DMSO", -2: "JQ1", -3: "Blank"}
    dataset, cells = CIGS[key][0], "293T" if "hek" in key else "231"
    table = pd.DataFrame({"id": [f"S{at}" for at in wells.index]}, dtype=object)
    treatment = [named.get(one, f"Cpd{one:05d}") for one in wells["compound"]]
    if dataset == "cigs_tcm":
        columns = {"Treat": treatment, "Plate": wells["plate"].tolist(), "Cell": cells}
        table = table.assign(**columns, Dose=key.rpartition("_")[2], Time=24)
    else:
        plates = np.where(wells["excluded"], "MCE4_293T_24H_X", "P") + (wells["plate"] + wells["excluded"]).astype(str)
        columns = {"plate": plates, "row": wells["place"] // 40 + 1, "column": wells["place"] % 40 + 1}
        table = table.assign(**columns, cells=cells, time="24", dose="10", treatment=treatment)
    return [list(SHEETS[dataset][1]), *table.to_numpy(dtype=object).tolist()]


GENERATORS = {"vcpi": vcpi, "gdpx2": gdpx2, "dilimap": dilimap, "cigs": cigs}

if __name__ == "__main__":
    main()
