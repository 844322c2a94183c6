"""Headings of sample sheets: which words name which part, in English, German, French and Spanish."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pbdb.readers.people.cells import plain

NAMES = {
    "plate": (
        "plate", "plateid", "platename", "platebarcode", "platenumber", "assayplate", "detplate", "platte",
        "plattennummer", "plattenid", "plaque", "placa", "batch", "batchid",
    ),
    "well": (
        "well", "wellid", "wellname", "wellposition", "platewell", "position", "kavitat", "puits", "pocillo", "pozo",
    ),
    "compound": (
        "compound", "compoundname", "drug", "drugname", "perturbagen", "perturbation", "pertiname", "chemical",
        "chemicalname", "molecule", "substance", "testarticle", "testcompound", "agent", "inhibitor", "treatment",
        "treatmentname", "substanz", "wirkstoff", "verbindung", "praparat", "medikament", "behandlung", "compose",
        "produit", "traitement", "medicament", "molecula", "compuesto", "farmaco", "tratamiento", "sustancia",
        "treatmentid", "compoundid", "drugid",
    ),
    "dose": (
        "dose", "concentration", "conc", "finalconcentration", "finalconc", "finaldose", "pertdose", "doseconc",
        "dosis", "konzentration", "konz", "endkonzentration", "concentracion",
        "concentrationfinale", "concentracionfinal",
    ),
    "time": (
        "time", "timepoint", "hours", "duration", "exposure", "exposuretime", "treatmenttime", "incubationtime",
        "perttime", "zeit", "zeitpunkt", "dauer", "stunden", "inkubationszeit", "temps", "duree", "heures", "tiempo",
        "duracion", "horas",
    ),
    "context": (
        "cellline", "cell", "cells", "celltype", "celllinename", "cellname", "cellid", "cellmodel", "line", "context",
        "zelllinie", "zellen", "zelltyp", "ligneecellulaire", "lignee", "cellules", "lineacelular", "linea", "celulas",
    ),
}  # fmt: skip
"""Words that name a part of a sheet, as `plain` spells them."""

SUFFIXES = {
    "dose": (
        "um", "nm", "mm", "pm", "umoll", "nmoll", "mmoll", "umolar", "nmolar", "mmolar", "inum", "innm", "inmm",
    ),
    "time": ("h", "hr", "hrs", "hours", "inh", "std", "stunden", "min", "minutes", "d", "days", "tage"),
}  # fmt: skip
UNITS = {
    "umoll": "um", "nmoll": "nm", "mmoll": "mm", "umolar": "um", "nmolar": "nm", "mmolar": "mm", "inum": "um",
    "innm": "nm", "inmm": "mm", "inh": "h", "std": "h", "stunden": "h", "tage": "d",
}  # fmt: skip
STRUCTURES = {
    "smiles": ("smiles", "canonicalsmiles", "isomericsmiles"),
    "inchikey": ("inchikey",),
    "pubchem_cid": ("pubchemcid", "cid"),
    "cas": ("cas", "casnumber", "casno", "casrn", "casnummer"),
}


def base(column: object) -> str:
    """A heading without the number at its end: `Dose_1` is dose."""
    return re.sub(r"\d+$", "", plain(column))


def matching(columns: Iterable[object], names: Iterable[str], suffixes: Iterable[str] = ()) -> list[str]:
    """Columns of one of the names, in the order of the names; one of the suffixes, and a number, do not matter."""
    shared, suffixes = [str(column) for column in columns if column], tuple(suffixes)
    matches = [
        column
        for name in names
        for column in shared
        if base(column) == name or base(column) in {name + suffix for suffix in suffixes}
    ]
    return list(dict.fromkeys(matches))


def suffix(column: object, part: str) -> str | None:
    """The unit a heading ends with, as units.SPELLINGS has it: `dose_um`, `Time (h)`."""
    name = base(column)
    for word in NAMES[part]:
        if name.startswith(word) and name[len(word) :] in SUFFIXES[part]:
            return UNITS.get(name[len(word) :], name[len(word) :])
    return None


def is_quantity(column: object) -> bool:
    """Whether a heading names doses or times."""
    return any(matching([column], NAMES[part], SUFFIXES[part]) for part in ("dose", "time"))


def spelled_as(columns: Sequence[str], name: str) -> list[str]:
    """Columns whose heading is this name but for case, blanks and signs; the very name wins."""
    return [name] if name in columns else [column for column in columns if plain(column) == plain(name)]
