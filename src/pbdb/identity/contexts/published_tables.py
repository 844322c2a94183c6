"""Read what is published about cells: Cellosaurus, the Cell Ontology, and tables of cell line names.

Each form becomes a CellPart of plain frames; `pbdb.identity.contexts.build_contexts` merges parts into one vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pbdb.common.errors import VocabularyError
from pbdb.identity import published_form
from pbdb.readers.text import head, headings, need_columns, open_text, read_table

CONTEXT_COLUMNS = (
    "context",
    "context_name",
    "kind",
    "tissue",
    "tissue_id",
    "disease",
    "disease_id",
    "organism",
    "sex",
    "development_stage",
    "ethnicity",
    "donor",
    "parent_context",
    "is_problematic",
    "problem",
)
SYNONYM_COLUMNS = ("synonym", "context")
_ORGANISMS = {"9606": "human", "10090": "mouse", "10116": "rat"}
_DEPMAP_COLUMNS = [
    "ModelID",
    "CellLineName",
    "StrippedCellLineName",
    "RRID",
    "PatientID",
    "Sex",
    "Age",
    "AgeCategory",
    "PatientRace",
    "OncotreeLineage",
    "OncotreePrimaryDisease",
    "OncotreeSubtype",
    "OncotreeCode",
]
_DAY_UNITS = {"M": "month", "W": "week", "D": "day"}


@dataclass(frozen=True)
class CellPart:
    """What one published file says about cells.

    contexts: CONTEXT_COLUMNS; text is None where not said, is_problematic False.
    synonyms: synonym (a name or a secondary accession), context; one row per pair.
    """

    kind: str
    release: str | None
    contexts: pd.DataFrame
    synonyms: pd.DataFrame


def read_cells(path: Path | str, kind: str | None = None) -> CellPart:
    """Read one published form, recognised by its content when `kind` is None.

    Raises:
        VocabularyError: the form is unknown, or the file is damaged or lacks a column.
    """
    return published_form.read(Path(path), kind, _READERS, _recognise, "cell table, e.g. cellosaurus.txt")


def curie(text: str) -> str | None:
    """Write an accession as a CURIE: `CVCL_0023`, `cvcl:0023` and `RRID:CVCL_0023` are CVCL:0023; else None."""
    match = re.fullmatch(r"(?:RRID:\s*)?(CVCL|CL)[_:]([A-Z0-9]+)", text.strip(), re.IGNORECASE)
    return f"{match[1]}:{match[2]}".upper() if match else None


def _recognise(path: Path) -> str | None:
    with path.open("rb") as start:
        if start.read(4) == b"PAR1":
            return "depmap"
    start_of_table = head(path)
    if start_of_table.startswith("format-version:"):
        return "cell_ontology"
    if re.search(r"^ID   .+\nAC   CVCL_", start_of_table, re.MULTILINE):
        return "cellosaurus"
    if {"Cellosaurus.Accession.id", "RRID"} & set(headings(path).split("\t")):
        return "names"
    return None


# --- Cellosaurus ---------------------------------------------------------------------------------------------


def _read_cellosaurus(path: Path) -> CellPart:
    release = None
    rows, synonyms = [], []
    with open_text(path) as text:
        for entry in _entries(text):
            if "AC" not in entry:
                release = release or _version(entry)
            else:
                row = _cellosaurus_row(entry)
                rows.append(row)
                synonyms += [(name, row["context"]) for name in _cellosaurus_names(entry)]
    if not rows:
        raise VocabularyError(
            f"{path.name} holds no entry of a cell line: give the whole cellosaurus.txt.", file=path.name
        )
    name = f"Cellosaurus {release}" if release else None
    return CellPart("cellosaurus", name, context_frame(rows), synonym_frame(synonyms))


def _entries(lines: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    """Yield each entry, and the file's heading before the first, as line code -> contents."""
    entry: dict[str, list[str]] = {}
    for line in lines:
        code, content = line[:2], line[5:].strip()
        if code in {"//", "ID"} and entry:
            yield entry
            entry = {}
        if code != "//":
            entry.setdefault(code if line[2:5] == "   " else "", []).append(content if code.isalpha() else line.strip())
    if entry:
        yield entry


def _version(heading: dict[str, list[str]]) -> str | None:
    matches = (re.search(r"Version:?\s*([\d.]+\d)", line) for lines in heading.values() for line in lines)
    return next((match[1] for match in matches if match), None)


def _cellosaurus_row(entry: dict[str, list[str]]) -> dict[str, object]:
    comments = entry.get("CC", [])
    problem = _comment(comments, "Problematic cell line")
    tissue, tissue_id = _site(_comment(comments, "Derived from site"))
    disease, disease_id = _disease(entry.get("DI", []))
    population = _comment(comments, "Population")
    parent = entry.get("HI", [""])[0].split("!")[0]
    sex = entry.get("SX", [""])[0].lower()
    return {
        "context": curie(entry["AC"][0]),
        "context_name": entry["ID"][0],
        "kind": "cell_line",
        "tissue": tissue,
        "tissue_id": tissue_id,
        "disease": disease,
        "disease_id": disease_id,
        "organism": _organism(entry.get("OX", [])),
        "sex": sex if sex in {"female", "male"} else None,
        "development_stage": development_stage(entry.get("AG", [""])[0]),
        "ethnicity": population.split(";")[0].rstrip(".") if population else None,
        "parent_context": curie(parent),
        "is_problematic": problem is not None,
        "problem": problem,
    }


def _comment(comments: Iterable[str], topic: str) -> str | None:
    start = f"{topic}: "
    return next((c.removeprefix(start) for c in comments if c.startswith(start)), None)


def _site(comment: str | None) -> tuple[str | None, str | None]:
    """Tissue of a line taken where its cells grew; a metastasis lies elsewhere, so its site tells no tissue."""
    if comment is None or not comment.startswith("In situ"):
        return None, None
    fields = [f.strip().rstrip(".") for f in comment.split(";")]
    ids = [f.removeprefix("UBERON=").replace("_", ":") for f in fields if f.startswith("UBERON=")]
    return fields[1].lower() if len(fields) > 1 else None, ids[0] if ids else None


def _disease(lines: Iterable[str]) -> tuple[str | None, str | None]:
    for line in sorted(lines, key=lambda text: not text.startswith("NCIt")):  # NCIt first, then ORDO
        database, accession, name = (f.strip() for f in line.split(";", 2))
        prefix = {"NCIt": "NCIT", "ORDO": "Orphanet"}.get(database, database)
        return name.lower(), f"{prefix}:{accession.removeprefix('Orphanet_')}"
    return None, None


def _organism(lines: Iterable[str]) -> str | None:
    names = []
    for line in lines:
        match = re.match(r"NCBI_TaxID=(\d+);\s*!\s*([^(]*)", line)
        if match:
            names.append(_ORGANISMS.get(match[1], match[2].strip()))
    return " x ".join(names) or None


def development_stage(age: str) -> str | None:
    """Write Cellosaurus' age of the donor (30Y6M, 8M, 20FW, Fetus) as a stage; None where it is not told."""
    if match := re.match(r">?(\d+)(?:-\d+)?Y", age):
        return f"{match[1]}-year-old stage"
    if re.match(r"Fetus|>?\d+(-\d+)?FW", age):
        return "fetal stage"
    if match := re.match(r">?(\d+)(?:-\d+)?([MWD])", age):
        return f"{match[1]}-{_DAY_UNITS[match[2]]}-old stage"
    return "embryonic stage" if re.match(r"Embryo|Blastocyst|\d+(-\d+)?E[DW]", age) else None


def _cellosaurus_names(entry: dict[str, list[str]]) -> list[str]:
    names = [n.strip() for line in entry.get("SY", []) for n in line.split(";")]
    misspelt = _comment(entry.get("CC", []), "Misspelling")
    names += [misspelt.split(";")[0].strip()] if misspelt else []
    secondary = [curie(a) for line in entry.get("AS", []) for a in line.split(";")]
    return [*names, *(a for a in secondary if a)]


# --- Cell Ontology -------------------------------------------------------------------------------------------


def _read_obo(path: Path) -> CellPart:
    rows, synonyms, release = [], [], None
    with open_text(path) as text:
        for stanza in _stanzas(text):
            if "data-version" in stanza:
                date = re.search(r"\d{4}-\d{2}-\d{2}", stanza["data-version"][0])
                release = f"Cell Ontology {date[0]}" if date else None
            term = curie(stanza.get("id", [""])[0])
            if term is None or not term.startswith("CL:") or "true" in stanza.get("is_obsolete", []):
                continue
            rows.append(_obo_row(term, stanza))
            exact = [m[1] for s in stanza.get("synonym", []) if (m := re.match(r'"(.*)" EXACT', s))]
            synonyms += [(name, term) for name in [*exact, *stanza.get("alt_id", [])]]
    return CellPart("cell_ontology", release, context_frame(rows), synonym_frame(synonyms))


def _obo_row(term: str, stanza: dict[str, list[str]]) -> dict[str, object]:
    part_of = (re.match(r"part_of (UBERON:\d+)(?: \{.*\})? ! (.*)", r) for r in stanza.get("relationship", []))
    tissue = next((match for match in part_of if match), None)
    return {
        "context": term,
        "context_name": stanza["name"][0],
        "kind": "primary_cell",
        "tissue": tissue[2] if tissue else None,
        "tissue_id": tissue[1] if tissue else None,
    }


def _stanzas(lines: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    stanza: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("["):
            yield stanza
            stanza = {}
        tag, colon, value = line.partition(": ")
        if colon:
            stanza.setdefault(tag, []).append(value.strip())
    yield stanza


# --- tables of names -----------------------------------------------------------------------------------------


def _read_depmap(path: Path) -> CellPart:
    table = pq.read_table(path).to_pandas()
    need_columns(path, table, _DEPMAP_COLUMNS)
    table = table.assign(context=[curie(r or "") for r in table["RRID"]]).dropna(subset=["context"])
    table = table.sort_values("CellLineName", key=lambda n: n.str.len(), kind="stable")  # CTV-1 before CTV-1-DM
    normal = table["OncotreePrimaryDisease"] == "Non-Cancerous"
    subtype = table["OncotreeSubtype"].fillna(table["OncotreePrimaryDisease"]).str.lower()
    sex, lineage = table["Sex"].str.lower(), table["OncotreeLineage"].str.lower()
    age = table["Age"].map(lambda years: f"{int(years)}-year-old stage", na_action="ignore").astype(object)
    contexts = pd.DataFrame(
        {
            "context": table["context"],
            "context_name": table["CellLineName"],
            "kind": "cell_line",
            "tissue": lineage.where(~lineage.isin(["normal", "other", "fibroblast"])),
            "disease": subtype.where(~normal, "normal"),
            "disease_id": ("ONCOTREE:" + table["OncotreeCode"]).where(~normal),
            "organism": "human",
            "sex": sex.where(sex.isin(["female", "male"])),
            "development_stage": age.where(table["AgeCategory"] != "Fetus", "fetal stage"),
            "ethnicity": table["PatientRace"].where(table["PatientRace"] != "unknown").str.replace("_", " "),
            "donor": table["PatientID"],
        }
    )
    names = table[["CellLineName", "StrippedCellLineName", "ModelID"]]
    return CellPart("depmap", None, context_frame(contexts), _names_of(names, table["context"]))


def _read_names(path: Path) -> CellPart:
    """Read a table of names with Cellosaurus accessions: mapCells of r-cellosaurus, or annotation of PharmacoGx."""
    table = read_table(path).replace("", None)
    table = table.rename(columns={"Cellosaurus.Accession.id": "RRID"})
    table = table.assign(context=table["RRID"].str.split(";")).explode("context").dropna(subset=["context"])
    table["context"] = [curie(a) for a in table["context"]]
    names = [str(c) for c in table if re.search(r"(?i)model|cellid$|celllinename", str(c))]
    main = next((c for c in [*(n for n in names if "name" in n.lower()), "unique.cellid"] if c in table), None)
    if main is None:
        raise VocabularyError(
            f"{path.name} has no column of names of cells (such as CellLineName): export the table with it.",
            file=path.name,
        )
    contexts = table[["context"]].assign(context_name=table[main], kind="cell_line")
    return CellPart("names", None, context_frame(contexts), _names_of(table[names], table["context"]))


def _names_of(names: pd.DataFrame, contexts: pd.Series) -> pd.DataFrame:
    return synonym_frame([pair for column in names for pair in zip(names[column], contexts, strict=True)])


_READERS: dict[str, Callable[[Path], CellPart]] = {
    "cellosaurus": _read_cellosaurus,
    "cell_ontology": _read_obo,
    "depmap": _read_depmap,
    "names": _read_names,
}


# --- frames --------------------------------------------------------------------------------------------------


def context_frame(rows: pd.DataFrame | list[dict[str, object]]) -> pd.DataFrame:
    """Give rows exactly CONTEXT_COLUMNS, one per context: text with None for unknown, is_problematic bool."""
    frame = pd.DataFrame(rows).reindex(columns=list(CONTEXT_COLUMNS)).astype(object)
    frame = frame.where(frame.notna(), None).groupby("context", sort=False, as_index=False).first()
    frame = frame.where(frame.notna(), None)
    return frame.assign(is_problematic=frame["is_problematic"].map(bool).astype(bool))


def synonym_frame(pairs: Sequence[tuple[object, object]]) -> pd.DataFrame:
    """Give pairs the SYNONYM_COLUMNS, without empty and repeated ones."""
    frame = pd.DataFrame(pairs, columns=list(SYNONYM_COLUMNS), dtype=object).dropna()
    return frame[frame["synonym"] != ""].drop_duplicates(ignore_index=True)
