"""Load DRUG-seq and the single-cell sources at their published shapes, and report stage by stage.

As `sources_full.py`, for four more sources. Single-cell sets begin at their pooled samples: a sample is written as one
cell that holds its counts and nine that hold hardly any, so that a load pools, filters and counts them as it does
cells, without generating millions; `pseudobulk_scale.py` measures the pooling of whole plates.

    python benchmarks/screens_full.py --dataset drugseq --shared ../shared --folder /some/large/disk
    python benchmarks/screens_full.py --dataset tahoe --share 0.1 --folder /some/large/disk   (a tenth of the lines)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common_full
import numpy as np
import pandas as pd
import scipy.sparse as sp
from made_up_names import DMSO, names
from sources_full import Counts, csr_file, scaled

from pbdb.simulate import rwrite

LIMIT_S = 10 * 60
SOURCES = {"drugseq": "drugseq", "op3": "op3", "sciplex": "sciplex", "tahoe": "tahoe"}
MALAT1_SHARE = 0.02
LIGHT_CELLS = 9  # beside the one that holds the counts: ten cells are the fewest of a sample that counts
ROWS = 256


def main() -> None:
    """Generate, load and report."""
    common_full.main(
        common_full.Benchmark("screens_full", str(__doc__), SOURCES, LIMIT_S, generate, common_full.real_genes)
    )


def generate(dataset: str, folder: Path, shared: Path, scale: float) -> dict[str, int]:
    """Write a release; returns its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth.csv").write_text("effects are planted by class of compounds\n")
    planned: dict[str, int] = GENERATORS[dataset](folder, shared, scale)
    return planned


# --- DRUG-seq ------------------------------------------------------------------------------------------------

N_BATCHES, N_REPLICATES, N_WELLS = 52, 3, 384
N_VEHICLES, N_ROBUST, N_EMPTY, N_POSITIVE = 16, 2, 21, 1428
N_DRUGSEQ_COMPOUNDS, DRUGSEQ_DOSES, N_LOST = 4340, (0.01, 0.1, 1.0, 10.0), 4
N_GENE_IDS, N_DRUGSEQ_EXPRESSED = 56_080, 20_000
DMSO_CODE, WATER_CODE, POSITIVE_CODE = "CB-43-EP73", "EC-27-RY89", "EA-18-FP00"


def drugseq(folder: Path, shared: Path, scale: float) -> dict[str, int]:
    """The nested list of plates in one RData file, and its three tables."""
    known = names(shared)
    n_genes, n_batches = scaled(N_GENE_IDS, scale, 3000), scaled(N_BATCHES, scale, 2)
    n_compounds = scaled(N_DRUGSEQ_COMPOUNDS, n_batches / N_BATCHES)
    counts = Counts(n_genes, scaled(N_DRUGSEQ_EXPRESSED, scale, 1000), 17)
    layout = drugseq_layout(n_compounds, n_batches)
    symbols = known.symbols(n_genes)
    probes = [f"{symbol},grch38_{at % 22 + 1}" for at, symbol in enumerate(symbols)]
    batches = {f"batch_{batch + 1:02d}": wells for batch, wells in layout.groupby("batch", sort=True)}

    def plates() -> Iterator[dict[str, Any]]:
        for wells in batches.values():
            yield {str(barcode): drugseq_plate(some, counts, probes) for barcode, some in wells.groupby("barcode")}

    listed = {"Exp": rwrite.Named(list(batches), plates())}
    rwrite.save(folder / "Exp_gzip.RData", listed, level=1)
    genes = {"geneID": probes, "ensembl_gene_id": known.gene_ids(n_genes), "external_gene_name": symbols,
             "chromosome_name": [probe.rpartition("_")[2] for probe in probes]}  # fmt: skip
    rwrite.save(
        folder / "drugseq_ensembl_v98_annotation_and_entrez_mapping.RData",
        {"drugseq_ensg_v98": pd.DataFrame(genes)},
    )
    robust = layout.loc[layout["kind"] == "vehicle", ["external", "barcode"]]
    robust = robust.set_axis(["external_biosample_id", "plate_barcode"], axis=1)
    robust.to_csv(folder / "robust_RC_ReferenceControl_DMSO_wells.txt", sep="\t", index=False)
    numbers = pd.Series(range(n_compounds))
    table = pd.DataFrame({"cmpd_sample_id": numbers.map(code), "smiles": known.structures("drugseq", numbers)})
    vehicle = pd.DataFrame({"cmpd_sample_id": [DMSO_CODE, WATER_CODE, POSITIVE_CODE], "smiles": [DMSO, "O", None]})
    table = pd.concat([table, vehicle]).assign(inchi_key="", cas_number="", moa="")
    table.to_csv(folder / "MoABox_compounds_metadata.txt", sep="\t", index=False)
    return {"samples": len(layout), "genes": n_genes, "conditions": n_compounds * len(DRUGSEQ_DOSES)}


def code(compound: int) -> str:
    """The code of a compound."""
    return f"CB-{compound // 100:02d}-{compound % 100:02d}X"


def drugseq_layout(n_compounds: int, n_batches: int) -> pd.DataFrame:
    """Every well: its plate, kind, compound, dose; conditions of a batch once on each of three plates, some again."""
    pairs = pd.DataFrame(
        [(compound, dose) for compound in range(n_compounds) for dose in DRUGSEQ_DOSES], columns=["compound", "dose"]
    )
    batch = np.arange(len(pairs)) * n_batches // len(pairs)
    n_plates = n_batches * N_REPLICATES
    n_positive = N_POSITIVE * n_plates // (N_BATCHES * N_REPLICATES)
    parts = []
    for plate in range(n_plates):
        here = pairs[batch == plate // N_REPLICATES]
        positives = n_positive // n_plates + (plate < n_positive % n_plates)
        room = N_WELLS - N_VEHICLES - N_EMPTY - positives
        treated = pd.concat([here, here.head(room - len(here))]).assign(kind="treated")
        if plate < N_LOST:
            treated.iloc[-1, treated.columns.get_loc("kind")] = "lost"
        kinds = ["vehicle"] * N_ROBUST + ["unreliable"] * (N_VEHICLES - N_ROBUST)
        kinds += ["empty"] * N_EMPTY + ["positive"] * positives
        rest = pd.DataFrame({"compound": -1, "dose": 0.0, "kind": kinds})
        barcode = f"VH02{plate // N_REPLICATES + 1:02d}{plate % N_REPLICATES + 1:02d}"
        wells = pd.concat([treated, rest], ignore_index=True)
        wells["position"] = np.random.default_rng(plate).permutation(N_WELLS) + 1
        parts.append(wells.assign(plate=plate, batch=plate // N_REPLICATES, barcode=barcode))
    layout = pd.concat(parts, ignore_index=True)
    depth = {"treated": 1.0, "vehicle": 1.0, "unreliable": 0.7, "positive": 0.2, "empty": 0.01, "lost": 0.0}
    spread = np.random.default_rng(3).lognormal(0, 0.3, len(layout))
    layout["library"] = 300_000 * spread * layout["kind"].map(depth)
    layout["name"] = layout["barcode"] + "_" + layout["position"].map("{:03d}".format)
    return layout.assign(external=layout["name"] + "-EXT")


def drugseq_plate(wells: pd.DataFrame, counts: Counts, probes: list[str]) -> dict[str, Any]:
    """Counts (genes x wells) and annotation of a plate, in another order of wells; every second one of genes, too."""
    order = np.arange(len(probes))
    if wells["plate"].iloc[0] % 2:
        order = np.roll(order, 1000)
    values = np.zeros((len(probes), len(wells)))
    values[counts.expressed] = counts.of(wells).T
    matrix = rwrite.Matrix([probes[at] for at in order], wells["name"].tolist(), [values[order]])
    row, column = np.divmod(wells["position"].to_numpy() - 1, 24)
    kinds = wells["kind"].map({"vehicle": "RC", "unreliable": "RC", "empty": "EMPTY"}).fillna("SA")
    codes = wells["compound"].map(lambda at: code(at) if at >= 0 else DMSO_CODE)
    codes = codes.mask(wells["kind"] == "empty", WATER_CODE).mask(wells["kind"] == "positive", POSITIVE_CODE)
    doses = wells["dose"].map("{:g}".format).mask(wells["kind"] == "positive", "10")
    doses = doses.astype(object).where(wells["kind"] != "empty", None)
    table = pd.DataFrame(
        {
            "batch_id": wells["batch"] + 1, "plate_barcode": wells["barcode"],
            "plate_index": wells["batch"].astype(str),
            "well_id": [f"{chr(65 + r)}{c + 1:02d}" for r, c in zip(row, column, strict=True)],
            "plate_replicate": wells["plate"] % N_REPLICATES + 1, "well_index": wells["name"].str[-3:],
            "col": column + 1, "row": row + 1, "biosample_id": "BS-" + wells["name"],
            "external_biosample_id": wells["external"], "cmpd_sample_id": codes,
            "well_type": pd.Categorical(kinds), "cell_line_name": "U-2 OS", "cell_line_ncn": "NCN-U2OS",
            "concentration": doses, "unit": doses.map(lambda dose: None if dose is None else "uM"),
            "hours_post_treatment": "24.0", "Sample": codes,
        }
    ).set_index(wells["name"].to_numpy())  # fmt: skip
    return {"UMI.counts": matrix, "Annotation": table.sample(frac=1, random_state=1)}


# --- OP3 -----------------------------------------------------------------------------------------------------

CELL_TYPES = {"CL_0000084": "T cells", "CL_0000236": "B cells", "CL_0000623": "NK cells", "CL_0000763": "Myeloid cells"}
N_OP3_GENES, N_OP3_FILE_GENES = 5_286, 5_317


def op3(folder: Path, shared: Path, scale: float) -> dict[str, int]:
    """Pseudobulks of three donors: every compound once a donor, and the published numbers of samples too small."""
    import anndata

    known, numbers = names(shared), common_full.published("op3", shared, every_column=True)
    counted = ["samples_before_min_cells", "samples_in_model", "perturbagens_without_control", "treated_conditions"]
    numbers[counted] = (numbers[counted] * scale).astype(int)
    parts = []
    for context, row in numbers.iterrows():
        n_compounds = int(row["perturbagens_without_control"])
        n_treated, n_vehicles = int(row["samples_before_min_cells"] - row["control_samples"]), row["control_samples"]
        pairs = pd.DataFrame({"compound": np.arange(n_treated) % n_compounds})
        pairs["donor"] = np.arange(n_treated) // n_compounds % 3
        vehicles = pd.DataFrame({"compound": -1, "donor": np.arange(int(n_vehicles)) % 3})
        wells = pd.concat([pairs, vehicles], ignore_index=True)
        n_few = int(row["samples_before_min_cells"] - row["samples_in_model"])
        lost = int(n_compounds - row["treated_conditions"])
        few = wells["compound"].between(0, lost - 1) if lost else wells["compound"] == n_compounds
        others = wells.index[(wells["compound"] >= lost) & (wells["donor"] == 0)][: max(0, n_few - int(few.sum()))]
        wells["n_cells"] = np.where(few | wells.index.isin(others), 5, 300)
        parts.append(wells.assign(cell_type=CELL_TYPES[str(context)]))
    wells = pd.concat(parts, ignore_index=True).assign(dose=1.0)
    wells["library"] = wells["n_cells"] * 2_000.0
    n_genes = N_OP3_FILE_GENES
    counts = Counts(n_genes, N_OP3_GENES, 19, sigma=1.2)
    profiles = sp.vstack(list(counts.blocks(wells, n_genes)), format="csr", dtype=np.float32)
    smiles = known.structures("op3", wells["compound"])
    named = wells["compound"].map(lambda at: "Dimethyl Sulfoxide" if at < 0 else f"drug {at}")
    obs = pd.DataFrame(
        {
            "plate_name": "plate - " + wells["donor"].astype(str), "cell_type": wells["cell_type"], "sm_name": named,
            "well": "W" + wells.groupby(["donor", "cell_type"]).cumcount().astype(str),
            "sm_lincs_id": "LSM-" + wells["compound"].astype(str), "SMILES": smiles, "dose_uM": 1.0,
            "timepoint_hr": 24.0, "control": wells["compound"] < 0, "library_id": "L" + wells["donor"].astype(str),
            "donor_id": "Donor " + (wells["donor"] + 1).astype(str),
            "cell_count_by_well_celltype": wells["n_cells"].astype(float), "split": "train",
        }
    ).set_index(pd.Index([f"{at:04d}" for at in range(len(wells))], name="obs_id"))  # fmt: skip
    texts = [name for name in obs if obs[name].dtype == object]
    var = pd.DataFrame(index=pd.Index(known.symbols(n_genes), name="gene"))
    anndata.AnnData(profiles, obs.astype(dict.fromkeys(texts, "category")), var).write_h5ad(
        folder / "pseudobulk_filtered_with_uns.h5ad", compression="gzip"
    )
    return {"samples": len(wells), "genes": n_genes, "conditions": int(numbers["treated_conditions"].sum())}


# --- single cells --------------------------------------------------------------------------------------------


def cells_of(wells: pd.DataFrame, counts: Counts, n_genes: int, light_genes: int) -> Iterator[sp.csr_matrix]:
    """Cells of samples: the first of a sample holds its counts, the others one count of some genes; gene 0 is MALAT1.

    A sample of fewer than ten cells has that one alone.
    """
    light = sp.csr_matrix(np.ones(light_genes, dtype=np.float32)[None, :])
    light[0, 0] = 5
    light.resize((1, n_genes))
    for start in range(0, len(wells), ROWS):
        some = wells.iloc[start : start + ROWS]
        (profiles,) = counts.blocks(some, n_genes, rows=ROWS)
        profiles = sp.csr_matrix(profiles, dtype=np.float32)
        marker = sp.csr_matrix(np.ceil(MALAT1_SHARE * some["library"].to_numpy(dtype=np.float32))[:, None])
        profiles = sp.hstack([marker, profiles[:, 1:]], format="csr")
        yield sp.vstack([profiles, *[light] * int((some["n_cells"] - 1).sum())], format="csr")


def cell_rows(wells: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Number of the sample of each cell that `cells_of` writes, in its order."""
    rows = []
    for start in range(0, len(wells), ROWS):
        some = np.arange(start, min(start + ROWS, len(wells)))
        rows += [some, np.repeat(some, wells["n_cells"].to_numpy()[some] - 1)]
    return np.concatenate(rows)


def cell_counts(wells: pd.DataFrame, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Counts of each cell as its table says them: those of the sample for its first cell, else enough to be kept."""
    return np.where(pd.Series(rows).duplicated(), 1000.0, wells["library"].to_numpy()[rows])


def few_cells(wells: pd.DataFrame, n_samples: int, n_conditions: int) -> np.ndarray[Any, Any]:
    """Cells of each sample, so that `n_samples` count and their conditions (compound, dose, time) are `n_conditions`.

    Conditions of one sample lose it first; then one sample is taken of conditions that have several.
    """
    size = wells.groupby(["compound", "dose", "time"])["compound"].transform("size")
    n_now = len(wells[["compound", "dose", "time"]].drop_duplicates())
    lonely = wells.index[size == 1][: max(0, n_now - n_conditions)]
    left = len(wells) - n_samples - len(lonely)
    again = wells.index[(size > 1) & wells.duplicated(["compound", "dose", "time"])][: max(0, left)]
    return np.where(wells.index.isin(lonely.union(again)), 1, 1 + LIGHT_CELLS)


def listed_wells(conditions: pd.DataFrame, n_conditions: int, n_wells: int) -> pd.DataFrame:
    """So many wells of so many conditions: those of the list, filled up with further doses, then again from the top."""
    wanted = conditions.drop_duplicates(["compound", "dose", "time"]).head(n_conditions)
    missing = n_conditions - len(wanted)
    further = wanted.sample(missing, replace=True, random_state=1).assign(dose=lambda t: 50.0 + np.arange(len(t)))
    both = pd.concat([wanted, further], ignore_index=True)
    return pd.concat([both] * -(-n_wells // len(both)), ignore_index=True).head(n_wells)


LINES = {"CVCL_0004": "K562", "CVCL_0023": "A549", "CVCL_0031": "MCF7"}
N_SCIPLEX_GENES, N_SCIPLEX_EXPRESSED = 58_302, 18_000


def sciplex(folder: Path, shared: Path, scale: float) -> dict[str, int]:
    """The curated release: matrix, cell table, gene table."""
    known, numbers = names(shared), common_full.published("sciplex", shared, every_column=True)
    cids = {cid: at for at, cid in enumerate(known.cids("sciplex"))}
    parts = []
    for context, row in numbers.iterrows():
        here = known.of("sciplex")
        here = here[here["context"] == context].assign(compound=lambda t: t["cid"].map(cids).astype(int))
        n_vehicles, n_before = int(row["control_samples"]), int(row["samples_before_min_cells"])
        n_conditions = int(row["treated_conditions"])
        wells = listed_wells(here[["compound", "dose", "time"]], n_conditions, n_before - n_vehicles)
        wells["n_cells"] = few_cells(wells, int(row["samples_in_model"]) - n_vehicles, n_conditions)
        hours = np.resize(sorted(wells["time"].unique()), n_vehicles)
        vehicles = pd.DataFrame({"compound": -1, "dose": 0.0, "time": hours, "n_cells": 1 + LIGHT_CELLS})
        wells = pd.concat([vehicles, wells], ignore_index=True)
        at = wells.groupby("time").cumcount()
        wells["plate"] = "plate" + context[-2:] + wells["time"].astype(int).astype(str) + (at % 8).astype(str)
        parts.append(wells.assign(cell_line=LINES[str(context)], place=at))
    wells = pd.concat(parts, ignore_index=True)
    wells["library"] = 150_000 * np.random.default_rng(3).lognormal(0, 0.5, len(wells))
    n_genes = scaled(N_SCIPLEX_GENES, scale, 3000)
    counts = Counts(n_genes, scaled(N_SCIPLEX_EXPRESSED, scale, 1500), 23)
    rows = cell_rows(wells)
    cells = wells.iloc[rows]
    named = cells["compound"].map(lambda at: "control" if at < 0 else f"drug{at}")
    table = pd.DataFrame(
        {
            "plate": cells["plate"], "well": "plate4_W" + cells["place"].astype(str),
            "ncounts": cell_counts(wells, rows),
            "cell_line": cells["cell_line"].replace("K562", "K-562"), "time": cells["time"].astype(float),
            "pert_compound": named, "pert_time": "24h",
            "pert_dose": (cells["dose"] * 1000).map("{:g}nM".format).mask(named == "control"),
        }
    ).set_index(pd.Index([f"cell{at}" for at in range(len(cells))], name="cell"))  # fmt: skip
    ids = pd.Index(known.gene_ids(n_genes), name="ensembl_id")
    csr_file(
        folder / "srivatsan20_sciplex3.h5ad",
        cells_of(wells, counts, n_genes, 300),
        table[["plate", "well", "cell_line", "ncounts"]],
        pd.DataFrame(index=ids),
    )
    for kind in ("obs", "var"):
        (folder / kind).mkdir(exist_ok=True)
    table.to_parquet(folder / "obs/srivatsan20_sciplex3.parquet")
    symbols = pd.DataFrame({"symbol": known.symbols(n_genes)}, index=ids.rename("ensembl_gene_id"))
    symbols.to_parquet(folder / "var/srivatsan20_sciplex3.parquet")
    supplement = pd.DataFrame({"at": range(len(cids))})
    supplement["SMILES"] = known.structures("sciplex", supplement["at"])
    supplement = supplement.assign(name=[f"drug{at} (X)" for at in supplement["at"]], **{"CAS.Number": None})
    supplement.drop(columns="at").to_csv(
        folder / "Supplementary_Table_3.txt.gz", sep="\t", index=False, na_rep="NA", compression="gzip"
    )
    return {"samples": len(wells), "genes": n_genes, "conditions": int(numbers["treated_conditions"].sum())}


N_PLATES, N_TAHOE_GENES, N_TAHOE_EXPRESSED = 14, 62_710, 30_000


def tahoe(folder: Path, shared: Path, scale: float) -> dict[str, int]:
    """Fourteen plates; of a share the first lines."""
    known, numbers = names(shared), common_full.published("tahoe", shared, every_column=True)
    numbers = numbers.head(scaled(len(numbers), scale))
    cids = {cid: at for at, cid in enumerate(known.cids("tahoe"))}
    conditions = known.of("tahoe").assign(compound=lambda t: t["cid"].map(cids).astype(int))
    conditions = conditions.drop_duplicates(["compound", "dose"]).sort_values(["dose", "compound"])
    parts = []
    for context, row in numbers.iterrows():
        n_vehicles, n_before = 2 * N_PLATES, int(row["samples_before_min_cells"])
        n_conditions = int(row["treated_conditions"])
        wells = listed_wells(conditions[["compound", "dose", "time"]], n_conditions, n_before - n_vehicles)
        wells["n_cells"] = few_cells(wells, int(row["samples_in_model"] - row["control_samples"]), n_conditions)
        lost = n_vehicles - int(row["control_samples"])
        vehicles = pd.DataFrame({"compound": -1, "dose": 0.0, "time": 24.0, "n_cells": 1 + LIGHT_CELLS}, range(28))
        vehicles.loc[:, "n_cells"] = np.where(np.arange(n_vehicles) < lost, 1, 1 + LIGHT_CELLS)
        vehicles["plate"] = np.arange(n_vehicles) % N_PLATES
        wells["plate"] = np.arange(len(wells)) * N_PLATES // len(wells)
        wells = pd.concat([vehicles, wells], ignore_index=True)
        wells["place"] = wells.groupby("plate").cumcount() + 1
        parts.append(wells.assign(cell_line=context))
    wells = pd.concat(parts, ignore_index=True)
    # So that 22,761 genes reach a fit, of which the published ones have 24,272 in the mean.
    wells["library"] = 2_200_000 * np.random.default_rng(3).lognormal(0, 0.5, len(wells))
    n_genes = scaled(N_TAHOE_GENES, 1.0 if scale >= 0.02 else scale, 3000)
    counts = Counts(n_genes, N_TAHOE_EXPRESSED if scale >= 0.02 else 1500, 29, sigma=1.3)
    symbols = known.symbols(n_genes)
    for plate, some in wells.groupby("plate"):
        tahoe_plate(folder, f"plate{int(plate) + 1}", some.reset_index(drop=True), counts, symbols)
    hub = pd.DataFrame({"gene_symbol": symbols, "ensembl_id": known.gene_ids(n_genes)})
    hub.to_parquet(folder / "gene_metadata.parquet", index=False)
    drugs = pd.DataFrame({"at": range(len(cids)), "pubchem_cid": [float(cid) for cid in cids]})
    drugs = drugs.assign(drug=drugs["at"].map("T{}".format), canonical_smiles=known.structures("tahoe", drugs["at"]))
    empty = ("targets", "moa-broad", "moa-fine", "human-approved", "clinical-trials", "gpt-notes-approval")
    drugs.assign(**dict.fromkeys(empty, "")).drop(columns="at").to_parquet(folder / "drug_metadata.parquet")
    return {"samples": len(wells), "genes": n_genes, "conditions": int(numbers["treated_conditions"].sum())}


def tahoe_plate(folder: Path, plate: str, wells: pd.DataFrame, counts: Counts, symbols: list[str]) -> None:
    """One plate's file, with the columns the files have of their own."""
    rows = cell_rows(wells)
    cells = wells.iloc[rows]
    drug = cells["compound"].map(lambda at: "DMSO_TF" if at < 0 else f"T{at}")
    barcodes = [f"{place:02d}_{at:07d}-lib_1105" for at, place in enumerate(cells["place"])]
    obs = pd.DataFrame(
        {
            "drug": drug, "cell_line": cells["cell_line"], "plate": plate, "gene_count": 1000,
            "tscp_count": cell_counts(wells, rows),
            "drugname_drugconc": [f"[('{n}', {d}, 'uM')]" for n, d in zip(drug, cells["dose"], strict=True)],
            "pcnt_mito": np.float32(0.01),
        }
    ).set_index(pd.Index(barcodes, name="BARCODE_SUB_LIB_ID"))  # fmt: skip
    texts = [name for name in obs if obs[name].dtype == object]
    path = folder / f"{plate}_filt_Vevo_Tahoe100M_WServicesFrom_ParseGigalab.h5ad"
    blocks = cells_of(wells, counts, len(symbols), 1)
    var = pd.DataFrame(index=pd.Index(symbols, name="gene_name"))
    csr_file(path, blocks, obs.astype(dict.fromkeys(texts, "category")), var)


GENERATORS = {"drugseq": drugseq, "op3": op3, "sciplex": sciplex, "tahoe": tahoe}

if __name__ == "__main__":
    main()
