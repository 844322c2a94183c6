"""Headings of sample sheets: which words name which part, in English, German, French and Spanish."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pbdb.common.typed_cells import plain

NAMES = {
    "plate": (
        "plate", "plateid", "platename", "platebarcode", "platenumber", "plateno", "assayplate", "detplate",
        "plateindex", "platte", "plattennummer", "plattenid", "plattenname", "plattencode", "plaque", "placa",
        "piastra", "plaat", "batch", "batchid",
    ),
    "well": (
        "well", "wellid", "wellname", "wellposition", "platewell", "position", "kavitat", "puits", "pocillo", "pozo",
        "pozzetto", "poco",
    ),
    "compound": (
        "compound", "compoundname", "drug", "drugname", "perturbagen", "perturbation", "pertiname", "chemical",
        "chemicalname", "molecule", "substance", "testarticle", "testcompound", "agent", "inhibitor", "treatment",
        "treatmentname", "substanz", "wirkstoff", "verbindung", "praparat", "medikament", "behandlung", "compose",
        "produit", "traitement", "medicament", "molecula", "compuesto", "farmaco", "tratamiento", "sustancia",
        "composto", "sostanza", "trattamento", "verbinding", "treatmentid", "compoundid", "drugid",
    ),
    "dose": (
        "dose", "concentration", "conc", "finalconcentration", "finalconc", "finaldose", "pertdose", "doseconc",
        "dosis", "konzentration", "konz", "endkonzentration", "concentracion",
        "concentrationfinale", "concentracionfinal", "concentrazione", "concentracao", "concentratie",
    ),
    "time": (
        "time", "timepoint", "hours", "duration", "exposure", "exposuretime", "treatmenttime", "incubationtime",
        "perttime", "zeit", "zeitpunkt", "dauer", "stunden", "inkubationszeit", "temps", "duree", "heures", "tiempo",
        "duracion", "horas", "tempo", "durata", "ore", "tijd",
    ),
    "context": (
        "cellline", "cell", "cells", "celltype", "celllinename", "cellname", "cellid", "cellmodel", "line", "context",
        "zelllinie", "zellen", "zelltyp", "ligneecellulaire", "lignee", "cellules", "lineacelular", "linea", "celulas",
        "lineacellulare", "cellule", "cellijn",
    ),
    "sample": (
        "sample", "sampleid", "samplename", "probe", "probenname", "probenid", "echantillon", "muestra", "campione",
        "amostra", "monster",
    ),
    "vehicle": (
        "isvehicle", "vehicle", "iscontrol", "control", "isnegativecontrol", "negativecontrol", "isdmso", "kontrolle",
        "istkontrolle", "negativkontrolle", "vehikel", "istvehikel", "temoin", "controle", "vehicule", "esvehiculo",
        "vehiculo", "escontrol", "controllo", "veicolo",
    ),
}  # fmt: skip
"""Words that name a part of a sheet, as `plain` spells them."""

SECOND_CHOICE = {
    "compound": ("treatmentid", "compoundid", "drugid"),
    "plate": ("batch", "batchid"),
    "context": ("cell", "cells", "celltype", "cellid", "cellmodel", "line", "context", "zelltyp"),
}
"""Headings that name a part only where no better one does."""
SUFFIXES = {
    "dose": (
        "um", "nm", "mm", "pm", "umoll", "nmoll", "mmoll", "umolar", "nmolar", "mmolar", "inum", "innm", "inmm",
    ),
    "time": (
        "h", "hr", "hrs", "hours", "inh", "std", "stunden", "min", "minutes", "d", "days", "tage", "heures",
        "horas", "ore",
    ),
}  # fmt: skip
UNITS = {
    "umoll": "um", "nmoll": "nm", "mmoll": "mm", "umolar": "um", "nmolar": "nm", "mmolar": "mm", "inum": "um",
    "innm": "nm", "inmm": "mm", "inh": "h", "std": "h", "stunden": "h", "tage": "d",
    "heures": "h", "horas": "h", "ore": "h",
}  # fmt: skip
STRUCTURES = {
    "smiles": ("smiles", "canonicalsmiles", "isomericsmiles"),
    "inchikey": ("inchikey",),
    "pubchem_cid": ("pubchemcid", "cid", "compoundcid"),
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


def first_choice(columns: Iterable[object], part: str) -> list[str]:
    """Columns that name a part without doubt, whatever their unit."""
    names = matching(columns, NAMES[part], SUFFIXES.get(part, ()))
    return [column for column in names if base(column) not in SECOND_CHOICE.get(part, ())]


def names_a_part(column: object) -> bool:
    """Whether a heading names any part of a sheet."""
    return any(matching([column], NAMES[part], SUFFIXES.get(part, ())) for part in NAMES)
