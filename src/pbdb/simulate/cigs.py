"""Small CIGS releases, MCE and TCM, in the published spreadsheets, with effects that are known because planted.

Their traps are those of the published files: genes turned into dates or dotted names, notes above some headings, ids of
samples and plates that every file has again, cells called by numbers, -666 in control wells, a heading that names two
columns alike, names broken over lines, compounds of one CAS number or in no table, plates and wells to be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.common import workbook_writer
from pbdb.simulate import wells as plates
from pbdb.simulate.planted import Planted, plant

SUPPLEMENT = "41592_2025_2781_MOESM3_ESM.xlsx"
NOTE = "Note: the data are for non-commercial research use only."
FILES = {  # key: data set, name, cells as the file calls them, dose in uM, whether the metadata begin with a note
    "mce_hek293t_10uM": ("cigs_mce", "MCE_Bioactive_Compounds_HEK293T_10\u03bcM", "cell_293T", 10, True),
    "mce_mda_mb_231_10uM": ("cigs_mce", "MCE_Bioactive_Compounds_MDA_MB_231_10\u03bcM", "cell_MDA_MB_231", 10, False),
    "tcm_hek293t_10": ("cigs_tcm", "TCM_Compounds_HEK293T_10", 293, 10, True),
    "tcm_hek293t_20": ("cigs_tcm", "TCM_Compounds_HEK293T_20", 293, 20, False),
    "tcm_mda_mb_231_10": ("cigs_tcm", "TCM_Compounds_MDA_MB_231_10", 231, 10, False),
    "tcm_mda_mb_231_20": ("cigs_tcm", "TCM_Compounds_MDA_MB_231_20", "231", 20, True),
}
DOSES = (10.0, 20.0)
N_DRUGS, N_REPLICATES, N_VEHICLES, MEDIAN_READS, SHALLOW = 6, 3, 5, 100_000, 0.1
ODD = {"SEPT7": "X7.Sep", "HLA-A": "HLA.A", "HLA-DPA1": "HLA.DPA1", "NKX2-1": "NKX2.1"}
"""Genes that R renamed in TCM; the first is a date in MCE, and is called SEPTIN7 today."""
UNKNOWN = ("NOTAGENE1", "NOTAGENE2")
ONE_CAS, UNLISTED = (1, 2), 5
_JQ1, _BLANK, _RNA = -2, -3, -4
SEED = 5


@dataclass
class Truth:
    """What was planted.

    effects: compound, inchikey, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not respond. By
    dataset: wells by flag (`in_fit` without one), profiles left_out, number of treated conditions. genes: found ones.
    """

    effects: pd.DataFrame
    genes: int
    wells: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    conditions: dict[str, int] = field(default_factory=dict)


def write(folder: str | Path, *, genes: int = 420, seed: int = SEED) -> Truth:
    """Write both releases, the supplement, the gene vocabulary, truth.csv and SHA256SUMS; a seed fixes every byte."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = _with_odd_names(plant(N_DRUGS, DOSES, genes, rng))
    measured = plates.measured(planted)
    truth = Truth(plates.truth(planted, measured), len(measured))
    for dataset in ("cigs_mce", "cigs_tcm"):
        kinds = [_write(folder, key, planted, measured, rng) for key, facts in FILES.items() if facts[0] == dataset]
        _note(truth, dataset, pd.concat(kinds))
    workbook_writer.save(folder / SUPPLEMENT, _supplement(planted))
    plates.write_vocabulary(folder, planted, measured, {"SEPT7": "SEPTIN7"})
    plates.finish(folder, truth.effects)
    return truth


def catalogue(drug: int, dataset: str) -> str:
    """Catalogue number of a drug."""
    return f"HY-{10_000 + drug}" if dataset == "cigs_mce" else f"Cpd{163 + drug:04d}"


def _with_odd_names(planted: Planted) -> Planted:
    """Call some expressed genes that nothing moves by names that spreadsheets mangle."""
    quiet = (planted.log2_fc == 0).all(axis=(0, 1)) & planted.genes["alone"].to_numpy()
    chosen = np.flatnonzero(quiet & (planted.genes["share"] > 1e-4))[: len(ODD)]
    table = planted.genes.copy()
    table.loc[chosen, "symbol"] = list(ODD)
    return replace(planted, genes=table)


# --- wells -----------------------------------------------------------------------------------------------------


def _write(folder: Path, key: str, planted: Planted, measured: NDArray[np.intp], rng: Generator) -> pd.DataFrame:
    """Write the two spreadsheets of a file; return its wells."""
    dataset, name, _, dose, has_note = FILES[key]
    wells = _mce_wells(key) if dataset == "cigs_mce" else _tcm_wells()
    factor = wells["kind"].map({"low_depth": SHALLOW, "blank": 0.02, "zero_library": 0.0}).fillna(1.0).to_numpy()
    library = MEDIAN_READS * rng.lognormal(0, 0.15, len(wells)) * factor
    at = np.full(len(wells), DOSES.index(dose))
    shift = plates.shifts(planted, measured, wells["drug"].clip(lower=-1).to_numpy(), at)
    shift += rng.normal(0, 1.5, len(measured)) * (wells["drug"] == _JQ1).to_numpy()[:, None]
    counts = plates.counts(planted, measured, shift, wells["plate"].to_numpy(), library, rng)
    symbols: list[str] = planted.genes["symbol"].to_numpy()[measured].tolist()
    rest = rng.poisson(20, (len(wells), len(UNKNOWN))) * (factor > 0)[:, None]
    values = np.hstack([counts, rest])
    sheet = _count_rows(dataset, [*symbols, *UNKNOWN], wells["id"].tolist(), values)
    workbook_writer.save(folder / f"{name}_Counts.xlsx", {"Sheet1": sheet})
    metadata = _mce_metadata(wells, key) if dataset == "cigs_mce" else _tcm_metadata(wells, key)
    metadata = pd.concat([metadata.sample(frac=1, random_state=rng), metadata.head(1).assign(**_nobody(metadata))])
    rows: list[list[Any]] = [[NOTE]] if has_note else []
    rows += [list(metadata.columns), *metadata.to_numpy(dtype=object).tolist()]
    workbook_writer.save(folder / f"{name}_MetaData.xlsx", {"Sheet1": rows})
    return wells


def _nobody(metadata: pd.DataFrame) -> dict[str, str]:
    """Identity of a row of the metadata that has no counts."""
    return {str(metadata.columns[0]): "nobody"}


def _mce_wells(key: str) -> pd.DataFrame:
    """Three replicate plates; of the first cells also one that the authors exclude."""
    cells = "293T" if "hek" in key else "231"
    names = [f"MCE1_{cells}_24H_X{replicate + 1}" for replicate in range(N_REPLICATES)]
    names += ["MCE4_293T_24H_X1"] if cells == "293T" else []
    rows = []
    for plate in names:
        rows += [("vehicle", -1, plate)] * N_VEHICLES + [("positive_control", _JQ1, plate)]
        rows += [("treated", drug, plate) for drug in range(N_DRUGS)]
        rows += [("blank", _BLANK, plate), ("blank", _RNA, plate)]
    table = pd.DataFrame(rows, columns=["kind", "drug", "plate"])
    excluded = table["plate"].str.startswith("MCE4")
    table.loc[excluded & (table["kind"] != "blank"), "kind"] = "excluded"
    treated = table.index[table["kind"] == "treated"]
    table.loc[treated[0], "kind"], table.loc[treated[N_DRUGS + 1], "kind"] = "low_depth", "zero_library"
    table["position"] = table.groupby("plate").cumcount()
    return table.assign(id=[f"{cells}_{at:04d}" for at in range(len(table))])


def _tcm_wells() -> pd.DataFrame:
    """Three plates without wells; every file calls its plates and samples alike."""
    rows = []
    for plate in range(1, N_REPLICATES + 1):
        rows += [("vehicle", -1, plate)] * N_VEHICLES + [("positive_control", _JQ1, plate)]
        rows += [("treated", drug, plate) for drug in range(N_DRUGS)]
    table = pd.DataFrame(rows, columns=["kind", "drug", "plate"])
    table.loc[table.index[table["kind"] == "treated"][0], "kind"] = "low_depth"
    return table.assign(id=[f"S{at:04d}" for at in range(len(table))])


def _treatment(drug: int, dataset: str) -> str:
    named = {-1: "DMSO" if dataset == "cigs_mce" else "dmso", _JQ1: "JQ1", _BLANK: "Blank", _RNA: "RNA"}
    return named.get(drug, catalogue(drug, dataset).replace("Cpd", "Compd"))


def _mce_metadata(wells: pd.DataFrame, key: str) -> pd.DataFrame:
    is_treated = wells["drug"] >= 0
    return pd.DataFrame(
        {
            "unique_ID": wells["id"],
            "experiment_no": 1,
            "sample_plate": wells["plate"],
            "sample_row": np.where(wells["drug"] == _RNA, -666, wells["position"] // 12 + 1),
            "sample_column": np.where(wells["drug"] == _RNA, -666, wells["position"] % 12 + 1),
            "cell_id": FILES[key][2],
            "pert_itime": np.where(is_treated, "24", "-666"),
            "pert_idose": np.where(is_treated, "10.0", "-666"),
            "sample": [f"s{at}" for at in range(len(wells))],
            "treatment": [_treatment(drug, "cigs_mce") for drug in wells["drug"]],
        }
    )


def _tcm_metadata(wells: pd.DataFrame, key: str) -> pd.DataFrame:
    cells, dose = FILES[key][2:4]
    library = "library" if key == "tcm_mda_mb_231_20" else "Library"
    return pd.DataFrame(
        {
            "Sample_unique_id": wells["id"],
            "Treat": [_treatment(drug, "cigs_tcm") for drug in wells["drug"]],
            "Plate": wells["plate"],
            library: "L1",
            "Cell": pd.Series([cells] * len(wells), dtype=object),
            "Dose": np.where(wells["drug"] >= 0, dose, -666),
            "Time": 24,
        }
    )


# --- sheets ----------------------------------------------------------------------------------------------------


def _count_rows(
    dataset: str, symbols: Sequence[str], ids: Sequence[str], counts: NDArray[np.int64]
) -> Iterator[list[Any]]:
    """A note, the heading with its mangled genes, the samples, and one that stands in no metadata."""
    is_mce = dataset == "cigs_mce"
    mangled: dict[str, str | datetime] = {"SEPT7": datetime(2024, 9, 7)} if is_mce else dict(ODD)
    yield [NOTE]
    yield ["Sample_id" if is_mce else "Sample_unique_id", *(mangled.get(symbol, symbol) for symbol in symbols)]
    for name, row in zip(ids, counts.tolist(), strict=True):
        yield [name, *row]
    yield ["stranger", *counts[0].tolist()]


def _supplement(planted: Planted) -> dict[str, list[list[Any]]]:
    """Tables 3 and 4: a title, a heading, compounds; one compound is in neither, and two have one CAS number."""
    mce: list[list[Any]] = [["Supplementary Table 3. MCE"]]
    mce.append(["Compound\nName", "Catalog Number", "CAS", "Mechanism", "Clinical Information", "Approval"])
    tcm: list[list[Any]] = [["Supplementary Table 4. TCM"], ["Compound Name", "Catalog Number", "Catalog Number"]]
    for at, (_, drug) in enumerate(planted.drugs):
        if at != UNLISTED:
            cas = planted.drugs[ONE_CAS[0]][1].cas if at in ONE_CAS else drug.cas
            broken = f"{drug.name[:4]}\n {drug.name[4:]}"
            mce.append([drug.name, catalogue(at, "cigs_mce"), drug.cas, drug.mechanism, None, "Launched"])
            tcm.append([broken, catalogue(at, "cigs_tcm"), cas])
    return {"Supplementary Table 3": mce, "Supplementary Table 4": tcm}


def _note(truth: Truth, dataset: str, wells: pd.DataFrame) -> None:
    """Count what a load must find."""
    named = wells["kind"].replace({"vehicle": "in_fit", "treated": "in_fit", "excluded": "excluded_plate"})
    truth.wells[dataset] = {str(kind): int(n) for kind, n in named.value_counts().items()}
    n_files = sum(facts[0] == dataset for facts in FILES.values())
    truth.left_out[dataset] = {"profile without_counts": n_files, "profile without_metadata": n_files}
    truth.conditions[dataset] = N_DRUGS * n_files
