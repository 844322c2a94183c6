"""Read reference tables of compounds: what others say of mechanisms, targets, pathways and approval.

Each table is one or two published files and becomes a Reference; the order of the files does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pbdb.common.errors import VocabularyError
from pbdb.identity.compounds.clean_text import text_or_none
from pbdb.readers.handwritten import sheets
from pbdb.readers.text import DAMAGED, head, need_columns

COMPOUND_COLUMNS = ("key", "name", "smiles", "inchikey", "pubchem_cid")


@dataclass(frozen=True)
class Reference:
    """What a reference table says.

    compounds: COMPOUND_COLUMNS, several rows of one key where it lists several forms; text, None where not told.
    statements: key, kind and value, kind being moa, target, pathway, approval or toxicity_label.
    """

    release: str | None
    compounds: pd.DataFrame
    statements: pd.DataFrame


def read_reference(kind: str, paths: Sequence[Path]) -> Reference:
    """Read the files of one reference table.

    Raises:
        VocabularyError: a file is missing, damaged, or not of this table.
    """
    n_files = len(TABLES[kind].files)
    if len(paths) != n_files:
        listed = " and ".join(TABLES[kind].files)
        raise VocabularyError(f"A table of {kind} is made of {n_files} file{'s' * (n_files > 1)}: give {listed}.")
    try:
        return TABLES[kind].read([_read(path) for path in paths])
    except DAMAGED as error:
        raise VocabularyError(f"{', '.join(p.name for p in paths)} cannot be read as {kind}: {error}.") from error


@dataclass(frozen=True)
class _File:
    name: str
    heading: str
    table: pd.DataFrame


@dataclass(frozen=True)
class _Table:
    files: tuple[str, ...]
    read: Callable[[Sequence[_File]], Reference]


def _read(path: Path) -> _File:
    """Read Parquet or a table in any form below leading lines that begin with '!'."""
    if path.suffix == ".parquet":
        table = pq.read_table(path).to_pandas()
        return _File(path.name, "", table.astype(object).where(table.notna(), None))
    heading = "".join(line for line in head(path).splitlines(keepends=True) if line.startswith("!"))
    table = sheets.as_it_stands(path)
    return _File(path.name, heading, table.where(table != "", None))


def _with(files: Sequence[_File], *columns: str) -> _File:
    """The file that has the columns."""
    for file in files:
        if set(columns) <= set(file.table.columns):
            return file
    need_columns(Path(files[0].name), files[0].table, columns)
    raise AssertionError("unreachable: the first file lacks a column")


def _hub(files: Sequence[_File]) -> Reference:
    drugs = _with(files, "pert_iname", "clinical_phase", "moa", "target")
    samples = _with(files, "pert_iname", "smiles", "InChIKey", "pubchem_cid").table
    date = re.search(r"^!File_date\s+(\d+/\d+/\d+)", drugs.heading, re.MULTILINE)
    release = datetime.strptime(date[1], "%m/%d/%Y").date().isoformat() if date else None
    kinds = {"moa": "moa", "target": "target", "clinical_phase": "approval"}
    columns = {"key": "pert_iname", "name": "pert_iname", "smiles": "smiles", "inchikey": "InChIKey"}
    return Reference(
        release,
        _compounds(samples, columns | {"pubchem_cid": "pubchem_cid"}),
        _statements(drugs.table, "pert_iname", kinds, "|"),
    )


def _moabox(files: Sequence[_File]) -> Reference:
    compounds = _with(files, "cmpd_sample_id", "inchi_key", "smiles", "moa").table
    targets = _with(files, "inchi_key", "gene_symbol").table
    statements = [
        _statements(compounds, "inchi_key", {"moa": "moa"}, ";"),
        _statements(targets, "inchi_key", {"gene_symbol": "target"}),
    ]
    listed = _compounds(compounds, {"key": "inchi_key", "smiles": "smiles", "inchikey": "inchi_key"})
    return Reference(None, listed, pd.concat(statements, ignore_index=True))


def _tahoe(files: Sequence[_File]) -> Reference:
    table = _with(files, "drug", "targets", "moa-fine", "human-approved", "canonical_smiles", "pubchem_cid").table
    table = table.assign(approval=table["human-approved"].map({"yes": "approved", "no": "not approved"}))
    table["moa-fine"] = table["moa-fine"].where(table["moa-fine"] != "unclear")
    kinds = {"moa-fine": "moa", "targets": "target", "approval": "approval"}
    columns = {"key": "drug", "name": "drug", "smiles": "canonical_smiles", "pubchem_cid": "pubchem_cid"}
    return Reference(None, _compounds(table, columns), _statements(table, "drug", kinds, ","))


def _sciplex(files: Sequence[_File]) -> Reference:
    drugs = _with(files, "Catalog.Number", "Product.Name", "Target", "Pathway").table
    wells = _with(files, "treatment", "name", "SMILES").table.drop_duplicates(["treatment", "SMILES"])
    kinds = {"Target": "target", "Pathway": "pathway"}
    return Reference(
        None,
        _compounds(wells, {"key": "treatment", "name": "name", "smiles": "SMILES"}),
        _statements(drugs, "Catalog.Number", kinds, ","),
    )


def _compounds(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    compounds = pd.DataFrame({name: table[raw].map(text_or_none) for name, raw in columns.items()}, dtype=object)
    compounds = (
        compounds.reindex(columns=list(COMPOUND_COLUMNS)).dropna(subset=["key"]).drop_duplicates(ignore_index=True)
    )
    return compounds.astype(object).where(compounds.notna(), None)


def _statements(table: pd.DataFrame, key: str, kinds: dict[str, str], separator: str | None = None) -> pd.DataFrame:
    parts = []
    for raw, kind in kinds.items():
        cells = table[raw].map(_as_text)
        values = cells.str.split(separator, regex=False) if separator else cells
        rows = pd.DataFrame({"key": table[key].map(text_or_none), "kind": kind, "value": values}).explode("value")
        parts.append(rows.assign(value=rows["value"].map(text_or_none)))
    return pd.concat(parts, ignore_index=True).dropna().drop_duplicates(ignore_index=True)


def _as_text(cell: object) -> str | None:
    return text_or_none(", ".join(map(str, cell)) if isinstance(cell, (list, tuple)) else cell)


TABLES = {
    "repurposing_hub": _Table(("repurposing_drugs_DATE.txt", "repurposing_samples_DATE.txt"), _hub),
    "moabox": _Table(("MoABox_compounds_metadata.txt", "MoABox_compounds_target_pairs_public.txt"), _moabox),
    "tahoe_drugs": _Table(("drug_metadata.parquet",), _tahoe),
    "sciplex_drugs": _Table(("drugProperties_short.tsv", "Supplementary_Table_3.txt"), _sciplex),
}
"""Reference tables by kind: the files each is made of, and how they are read."""
