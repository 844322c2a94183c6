"""What generated releases call their genes and compounds, so that all of them are in one database of one vocabulary.

Genes are those of a real release; compounds stand for the CIDs of the real condition list, with the real structure
where a table of the shared data tells it, else with a made-up one: one CID has one structure in every data set. No
benchmark by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

GENES = "data/reference/genes/embl_perturbation_catalogue_genes.parquet"
MANIFEST = "data/condition_manifest_12datasets/df_annot_split.parquet"
LISTED = {
    "cigs_mce": "CIGS MCE", "cigs_tcm": "CIGS TCM", "dilimap_train": "dilimap_train",
    "dilimap_train_val": "dilimap_train", "drugseq": "Novartis MoABox DRUG-seq", "gdpx2": "Ginkgo GDPx2", "op3": "op3",
    "sciplex": "srivatsan20_sciplex3", "tahoe": "tahoe100", "vcpi_0001": "Ginkgo VCPI vcpi-0001 (tvc-bhr-009)",
    "vcpi_0002": "Ginkgo VCPI vcpi-0002 (tvc-kdl-010)", "l1000_phase1": "LINCS_phase1_level3_epsilon",
    "l1000_phase2": "LINCS_phase2_level3",
}  # fmt: skip
MALAT1 = "ENSG00000251562"
DMSO = "CS(C)=O"
# Two atoms of a chain for each digit of a CID, read from its amine: no two numbers are one structure.
DIGITS = ("CC", "C(C)C", "C(F)C", "C(O)C")


@dataclass(frozen=True)
class Names:
    """genes: gene_id, symbol, both unique. conditions: the real list, with numbers as CIDs. known: SMILES by CID."""

    genes: pd.DataFrame
    conditions: pd.DataFrame
    known: dict[int, str]

    def gene_ids(self, n: int) -> list[str]:
        """Ensembl ids of the first n genes."""
        if n > len(self.genes):
            raise ValueError(f"{n} genes are wanted, the vocabulary has {len(self.genes)}")
        ids: list[str] = self.genes["gene_id"].iloc[:n].tolist()
        return ids

    def symbols(self, n: int) -> list[str]:
        """Their symbols."""
        symbols: list[str] = self.genes["symbol"].iloc[:n].tolist()
        return symbols

    def of(self, dataset: str) -> pd.DataFrame:
        """Conditions of a data set: context, cid, dose (uM), time."""
        return self.conditions[self.conditions["dataset"] == LISTED[dataset]]

    def cids(self, dataset: str) -> list[int]:
        """CIDs of a data set, in order."""
        return sorted(int(cid) for cid in self.of(dataset)["cid"].unique())

    def smiles(self, cid: int) -> str:
        """The structure of a CID."""
        return self.known.get(cid) or made_up(cid)

    def structures(self, dataset: str, compounds: pd.Series) -> pd.Series:
        """SMILES for numbers of compounds of a data set; None for those beyond its list (-1 is the vehicle)."""
        cids = self.cids(dataset)
        distinct = {
            at: DMSO if at == -1 else self.smiles(cids[at]) if 0 <= at < len(cids) else None
            for at in compounds.unique()
        }
        return compounds.map(distinct).astype(object).where(compounds.map(distinct).notna(), None)


def made_up(cid: int) -> str:
    """A structure that stands for a number: an amine with a digit of it, in base four, at every second carbon."""
    digits = np.base_repr(cid, 4).zfill(14)
    return "N" + "".join(DIGITS[int(digit)] for digit in digits)


@cache
def names(shared: Path) -> Names:
    """Read them from the folder of shared data."""
    genes = pd.read_parquet(shared / GENES).rename(columns={"ensembl_gene_id": "gene_id"})
    landmarks = pd.read_csv(next((shared / "data/l1000/geo_GSE92742").glob("*_gene_info.txt.gz")), sep="\t", dtype=str)
    landmarks = landmarks.loc[landmarks["pr_is_lm"] == "1", "pr_gene_symbol"]
    genes = genes[["gene_id", "symbol", "biotype"]].drop_duplicates("gene_id")
    doubtful = genes["symbol"].isna() | (genes["symbol"] == "") | genes["symbol"].duplicated(keep=False)
    genes["symbol"] = genes["symbol"].mask(doubtful, genes["gene_id"])
    first = (genes["biotype"] == "protein_coding").astype(int) + genes["symbol"].isin(set(landmarks)) * 2
    first += 4 * (genes["gene_id"] == MALAT1)
    genes = genes.assign(first=first).sort_values(["first", "gene_id"], ascending=[False, True], ignore_index=True)
    conditions = pd.read_parquet(shared / MANIFEST)
    conditions["cid"] = pd.to_numeric(conditions["perturbation"], errors="coerce").astype("Int64")
    conditions["dose"] = (10 ** conditions["log_dose"]).round(4)
    return Names(genes[["gene_id", "symbol"]], conditions.dropna(subset="cid"), _known(shared))


def _known(shared: Path) -> dict[int, str]:
    """Real structures that stand for one CID each."""
    table = pd.read_csv(shared / "data/l1000/dhimmel_lincs/pertinfo.tsv.gz", sep="\t", dtype=str)
    table = table.assign(cid=pd.to_numeric(table["pubchem_cid"], errors="coerce"))
    table = table.dropna(subset=["cid", "canonical_smiles"]).drop_duplicates("cid")
    table = table[~table["inchi_key"].duplicated(keep=False)] if "inchi_key" in table else table
    known = dict(zip(table["cid"].astype(int), table["canonical_smiles"], strict=True))
    return {cid: smiles for cid, smiles in known.items() if smiles != "-666"}


def write_hub(folder: Path, written: dict[str, int], shared: Path) -> tuple[Path, Path]:
    """Write names and the CIDs they stand for as the two tables of a repurposing hub."""
    known = names(shared)
    drugs, samples = folder / "repurposing_drugs_20200324.txt", folder / "repurposing_samples_20200324.txt"
    rows = pd.DataFrame({"pert_iname": list(written), "pubchem_cid": list(written.values())})
    rows["smiles"] = [known.smiles(cid) for cid in written.values()]
    empty = dict.fromkeys(("clinical_phase", "moa", "target"), "")
    rows[["pert_iname"]].assign(**empty).to_csv(drugs, sep="\t", index=False)
    rows.assign(broad_id=[f"BRD-M{cid:08d}" for cid in rows["pubchem_cid"]], InChIKey="").to_csv(
        samples, sep="\t", index=False
    )
    return drugs, samples
