"""Small published tables, written by tests as they want them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from made import FIRST_GENE

N_GENES = 60

CELLOSAURUS = """\
 Description: Cellosaurus: a knowledge resource on cell lines
 Version: 99.0
ID   Line A
AC   CVCL_0001
CC   Derived from site: In situ; Lung; UBERON=UBERON_0002048.
CC   Problematic cell line: Contaminated. Shown to be a HeLa derivative.
DI   NCIt; C3512; Lung adenocarcinoma
OX   NCBI_TaxID=9606; ! Homo sapiens (Human)
SX   Female
AG   58Y
//
"""


def ensg(number: int) -> str:
    """Id of the gene of the made source with this number."""
    return f"ENSG{FIRST_GENE + number:011d}"


def gene_table(folder: Path, name: str, without: Iterable[int] = (), prefix: str = "SYM") -> Path:
    """A BioMart export of the made source's genes, some left out."""
    left_out = set(without)
    rows = [f"{ensg(n)}\t{prefix}{n}\t{n + 1}" for n in range(N_GENES) if n not in left_out]
    path = folder / name
    head = "Gene stable ID\tGene name\tNCBI gene (formerly Entrezgene) ID"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def retired_table(folder: Path, pairs: dict[int, int]) -> Path:
    """Retired genes and what replaced them."""
    path = folder / "retired.json"
    path.write_text(json.dumps({ensg(old): ensg(new) for old, new in pairs.items()}), encoding="utf-8")
    return path


def panel(folder: Path, numbers: Iterable[int], name: str = "gene_info.txt") -> Path:
    """The L1000 table of genes, these its landmarks."""
    rows = [f"{n + 1}\tSYM{n}\t1" for n in numbers]
    path = folder / name
    path.write_text("\n".join(["pr_gene_id\tpr_gene_symbol\tpr_is_lm", *rows]) + "\n", encoding="utf-8")
    return path


def hub(folder: Path) -> list[Path]:
    """The two tables of the Repurposing Hub: a salt and its parent, two inhibitors of HDAC, one of something else."""
    drugs = [
        "pert_iname\tclinical_phase\tmoa\ttarget\tdisease_area\tindication",
        "vorinostat\tLaunched\tHDAC inhibitor\tHDAC1|HDAC2\t\t",
        "panobinostat\tLaunched\tHDAC inhibitor\tHDAC1\t\t",
        "metformin\tLaunched\tinsulin sensitizer\tPRKAB1\t\t",
    ]
    samples = [
        "broad_id\tpert_iname\tsmiles\tInChIKey\tpubchem_cid",
        "1\tvorinostat\tONC(=O)CCCCCCC(=O)Nc1ccccc1\tWAEXFXRVDQXREF-UHFFFAOYSA-N\t5311",
        "2\tpanobinostat\tCc1[nH]c2ccccc2c1CCNCc1ccc(/C=C/C(=O)NO)cc1\t\t",
        "3\tmetformin\tCN(C)C(=N)NC(N)=N\t\t4091",
        "4\tmetformin\tCN(C)C(=N)NC(N)=N.Cl\t\t14219",
    ]
    heading = '!Source\t"Hub"\n!File_date\t3/24/2020\n'
    paths = [folder / "repurposing_drugs.txt", folder / "repurposing_samples.txt"]
    for path, lines in zip(paths, (drugs, samples), strict=True):
        path.write_text(heading + "\n".join(lines) + "\n", encoding="latin-1")
    return paths
