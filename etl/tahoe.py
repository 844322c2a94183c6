"""Tahoe-100M: 100 million cells of 50 cancer lines, pooled in every well, under 379 drugs at up to three doses.

Fourteen plates of 96 wells, a file each; whatever plates are there are loaded. Cells are described by the curated
table of their plate where it is there, else by the file's own columns. The well is the first number of a cell's name.
Of the two gene tables in circulation the hub's has the right Ensembl ids; it is joined by symbol, one to one.
"""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.source import (
    Assay,
    CellFilter,
    CompoundColumns,
    Context,
    Dataset,
    Features,
    File,
    Files,
    ProfileBlock,
    Pseudobulk,
    SampleColumns,
    Source,
    col,
)

ATLAS = "https://storage.googleapis.com/arc-ctc-tahoe100/2025-02-25/h5ad/"
HUB = "https://huggingface.co/datasets/tahoebio/Tahoe-100M/resolve/main/metadata/"
PLATES = tuple(f"plate{number}" for number in range(1, 15))
KEYS = ("plate", "well", "pert_compound", "cell_line_ontology_id")
FILTER = CellFilter(n_genes="gene_count", n_counts="tscp_count", mito="pcnt_mito")
VEHICLE = "DMSO_TF"
HOURS = "24h"
WELLS = {f"{at + 1:02d}_": f"{'ABCDEFGH'[at // 12]}{at % 12 + 1}" for at in range(96)}
AMOUNT = r"^\s*(?P<value>[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(?P<unit>\D*?)\s*$"
OWN_COLUMNS = {"pert_compound": "drug", "pert_dose": "drugname_drugconc", "cell_line_ontology_id": "cell_line"}
"""Columns of the files themselves that say what the curated tables call otherwise."""
# CIDs of drugs that a look-up of the name does not find; the drug table tells the structure of most of them.
ALIASES = {
    "DMSO_TF": 679, "18β-Glycyrrhetinic acid": 10114, "Trametinib (DMSO_TF solvate)": 11707110,
    "Sacubitril/Valsartan": 71449007, "Pitavastatin (Calcium)": 5282451, "verteporfin": 5362420,
    "Quinidine (15% dihydroquinidine)": 441074, "Canagliflozin (hemihydrate)": 24997615,
    "Osimertinib (mesylate)": 78357807, "γ-Oryzanol": 5282164, "Filgotinib": 49831257,
}  # fmt: skip
# Cellosaurus accessions (without CVCL_), names and organs of the lines.
_LINES = """
    0131 A-172 brain; 1055 A-427 lung; 1056 A498 kidney; 0023 A549 lung; 0028 AN3 CA uterus; 0152 AsPC-1 pancreas;
    0179 BT-474 breast; 1094 C-33 A cervix; 1097 C32 skin; 1119 CFPAC-1 pancreas;
    1125 CHP-212 peripheral_nervous_system; 0218 COLO 205 large_intestine; 1239 H4 brain; 0292 HCT 15 large_intestine;
    0293 HEC-1-A uterus; 1285 HOP-62 lung; 0332 Hs 578T breast; 0320 HT-29 large_intestine; 1098 Hep-G2/C3A liver;
    0334 Hs 766T pancreas; 0359 J82 bladder; 0371 KATO III stomach; 1381 LOX-IMVI skin; 0397 LS180 large_intestine;
    0399 LoVo large_intestine; 0428 MIA PaCa-2 pancreas; 1478 NCI-H1573 lung; 1495 NCI-H1792 lung;
    1517 NCI-H2030 lung; 1531 NCI-H2122 lung; 1547 NCI-H23 lung; 1550 NCI-H2347 lung; 0459 NCI-H460 lung;
    1571 NCI-H596 lung; 1577 NCI-H661 lung; 0480 PANC-1 pancreas; 1635 Panc 03.27 pancreas; 0504 RKO large_intestine;
    1666 RPMI-7951 skin; 1693 SHP-77 lung; 0069 SK-MEL-2 skin; 0099 SNU-1 stomach; 0366 SNU-423 liver;
    1715 SW1088 brain; 1716 SW1271 lung; 1731 SW900 lung; 1717 SW1417 large_intestine; 1724 SW48 large_intestine;
    0546 SW480 large_intestine; C466 hTERT-HPNE pancreas
"""


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """Blocks of pooled cells, plate by plate."""
    drugs = {spelled(name): name for name in compounds(files)["drug"]}
    there = files.sets()
    lonely = [plate for plate in PLATES if f"{plate}_cells" in files and plate not in there]
    if lonely:
        raise DataError(
            f"There is the cell table 'obs/{lonely[0]}.parquet' but not the file of {lonely[0]}: get it, or remove the "
            "table to load the other plates.",
            file=f"obs/{lonely[0]}.parquet",
        )
    facts = {"plates": there, "plates_not_there": [plate for plate in PLATES if plate not in there]}
    for plate in there:
        for block in files[plate]:
            yield replace(block, samples=describe(block.samples, drugs), facts=facts)


def describe(samples: pd.DataFrame, drugs: dict[str, str]) -> pd.DataFrame:
    """Samples with the drug as the drug table spells it, and dose and time as numbers with units."""
    compound = samples["pert_compound"].astype(object).map(lambda name: drugs.get(spelled(name), str(name)))
    dose, time = amounts(samples["pert_dose"]), amounts(samples["pert_time"])
    return samples.assign(
        cell_line_ontology_id=samples["cell_line_ontology_id"].astype(str).str.replace(":", "_"),
        compound=compound,
        is_vehicle=compound == VEHICLE,
        dose=dose["value"],
        dose_unit=dose["unit"],
        time=time["value"],
        time_unit=time["unit"],
    )


def spelled(name: str) -> str:
    """A drug's name without differences in case, in blanks at its ends and in how a Greek letter is encoded."""
    return unicodedata.normalize("NFKC", str(name)).strip().casefold()


def amounts(texts: pd.Series) -> pd.DataFrame:
    """Value and unit of doses and times, written `0.05uM` or `[('name', 0.05, 'uM')]`.

    Raises:
        DataError: a text is neither.
    """
    distinct = pd.Series(texts.astype(object).unique()).dropna().astype(str)
    plain = distinct.map(_amount).astype("string")
    parts = plain.str.extract(AMOUNT).astype(object).set_axis(distinct, axis=0)
    wrong = parts.index[parts["value"].isna()]
    if len(wrong):
        raise DataError(
            f"Source 'tahoe': '{wrong[0]}' is neither a number with a unit nor [(name, number, unit)].", value=wrong[0]
        )
    return parts.reindex(texts.astype(object).map(str, na_action="ignore")).set_axis(texts.index, axis=0)


def _amount(text: str) -> str:
    """What the hub writes as a list of name, number and unit, as number and unit."""
    if not text.startswith("["):
        return text
    try:
        ((_, value, unit),) = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return ""
    return f"{value}{unit}"


# --- cells and genes -----------------------------------------------------------------------------------------


def placed(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with their well, and with the curated names of columns where there is no curated table.

    Raises:
        DataError: the name of a cell does not begin with the number of a well.
    """
    starts = cells.index.str.slice(0, 3)
    unknown = ~starts.isin(list(WELLS))
    if unknown.any():
        raise DataError(
            f"The cell '{cells.index[unknown][0]}' has no number of a well, 01 to 96, before its first _.",
            value=cells.index[unknown][0],
        )
    if "pert_compound" in cells:
        return cells.assign(well=starts.map(WELLS))
    renamed = {name: cells[other] for name, other in OWN_COLUMNS.items() if other in cells}
    return cells.assign(well=starts.map(WELLS), pert_time=HOURS, **renamed)


def hub_genes(files: Any, genes: pd.DataFrame) -> pd.DataFrame:
    """Genes with the hub's Ensembl ids, joined by symbol.

    Raises:
        DataError: a symbol stands twice on either side, or is not in the hub's table.
    """
    hub: pd.DataFrame = files["genes"]
    for symbols, where in ((hub["gene_symbol"], "gene_metadata.parquet"), (pd.Series(genes.index), "a plate's file")):
        if symbols.duplicated().any():
            twice = symbols[symbols.duplicated()].iloc[0]
            raise DataError(
                f"The symbol '{twice}' stands twice in {where}: genes are joined by it, one to one.", value=twice
            )
    ids = hub.set_index("gene_symbol")["ensembl_id"].reindex(genes.index)
    if ids.isna().any():
        raise DataError(
            f"The gene '{ids.index[ids.isna()][0]}' of a plate's file is not in gene_metadata.parquet.",
            file="gene_metadata.parquet",
            value=ids.index[ids.isna()][0],
        )
    return pd.DataFrame({"feature": ids.to_numpy(), "symbol": genes.index})


# --- compounds and lines -------------------------------------------------------------------------------------


def compounds(files: Files) -> pd.DataFrame:
    """The hub's drugs, and the vehicle, which it leaves out."""
    hub: pd.DataFrame = files["drugs"]
    drugs = hub.assign(drug=hub["drug"].map(lambda name: unicodedata.normalize("NFC", name).strip()))
    if drugs["drug"].map(spelled).duplicated().any():
        twice = drugs["drug"][drugs["drug"].map(spelled).duplicated()].iloc[0]
        raise DataError(
            f"The drug '{twice}' stands twice in drug_metadata.parquet: every drug must be there once.",
            file="drug_metadata.parquet",
            value=twice,
        )
    drugs["moa-fine"] = drugs["moa-fine"].where(drugs["moa-fine"] != "unclear", None)
    vehicle = pd.DataFrame({"drug": [VEHICLE], "canonical_smiles": "CS(C)=O", "pubchem_cid": ALIASES[VEHICLE]})
    return pd.concat([drugs[drugs["drug"] != VEHICLE], vehicle], ignore_index=True)


def _lines() -> dict[str, Context]:
    """Lines by the accession the cell tables have."""
    contexts = {}
    for line in _LINES.split(";"):
        accession, *name, tissue = line.split()
        contexts[f"CVCL_{accession}"] = Context(f"CVCL:{accession}", " ".join(name), tissue=tissue.replace("_", " "))
    return contexts


def _files() -> dict[str, File]:
    declared = {
        "genes": File(
            "gene_metadata.parquet",
            readers.parquet,
            url=HUB + "gene_metadata.parquet",
            columns=("gene_symbol", "ensembl_id"),
            ignored=("token_id",),
            others_allowed=True,
        ),
        "drugs": File(
            "drug_metadata.parquet",
            readers.parquet,
            url=HUB + "drug_metadata.parquet",
            columns=("drug", "canonical_smiles", "pubchem_cid", "targets", "moa-fine", "human-approved"),
            ignored=("moa-broad", "clinical-trials", "gpt-notes-approval"),
            others_allowed=True,
        ),
    }
    for plate in PLATES:
        name = f"{plate}_filt_Vevo_Tahoe100M_WServicesFrom_ParseGigalab.h5ad"
        pooled = Pseudobulk(
            KEYS,
            constants=("pert_dose", "pert_time"),
            filter=FILTER,
            table=f"{plate}_cells",
            columns=tuple(OWN_COLUMNS.values()),
            derive=placed,
            genes=hub_genes,
            context="cell_line_ontology_id",
        )
        declared[plate] = File(name, readers.cell_matrix, url=ATLAS + name, set=plate, pseudobulk=pooled)
        declared[f"{plate}_cells"] = File(
            f"obs/{plate}.parquet", readers.parquet, columns=KEYS[2:], others_allowed=True, optional=True
        )
    return declared


SOURCE = Source(
    key="tahoe",
    title="Tahoe-100M: 50 cancer lines under 379 drugs",
    homepage="https://huggingface.co/datasets/tahoebio/Tahoe-100M",
    assay=Assay("Parse Evercode", "counts"),
    datasets={
        "tahoe": Dataset(
            release="2025-02-25",
            license="CC0 1.0",
            citation="Zhang et al. 2025, Tahoe-100M, bioRxiv",
            doi="10.1101/2025.02.20.639398",
            is_redistributable=True,
            min_cells=10,
            get="the plates are in the Arc Virtual Cell Atlas (2025-02-25/h5ad), curated cell tables in its Lamin "
            "instance (tahoe100/obs), the tables of drugs and genes on the hub (metadata)",
        )
    },
    files=_files(),
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        well=col("well"),
        compound=col("compound"),
        dose=col("dose", unit_column="dose_unit"),
        time=col("time", unit_column="time_unit"),
        context=col("cell_line_ontology_id"),
        vehicle="is_vehicle",
        n_cells=col("n_cells"),
    ),
    features=Features("gene_id"),
    contexts=_lines(),
    compounds=CompoundColumns(
        table=compounds,
        key="drug",
        smiles="canonical_smiles",
        pubchem_cid="pubchem_cid",
        annotations={"moa-fine": "moa", "targets": "target", "human-approved": "approval"},
        separator=",",
    ),
    aliases=ALIASES,
)
