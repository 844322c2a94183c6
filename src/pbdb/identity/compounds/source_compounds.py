"""The compounds of a dataset: what the source wrote about each, resolved to identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.rows import Row
from pbdb.identity.compounds import structure as chem
from pbdb.identity.compounds.clean_text import text_or_none
from pbdb.identity.compounds.pubchem_rest import Lookup
from pbdb.identity.compounds.resolve import Record, Resolution, resolve
from pbdb.sources.declaration import CompoundColumns, Files, Source

GIVEN = ("name", "smiles", "inchikey", "pubchem_cid", "cas")


def source_compounds(
    source: Source,
    files: Files,
    samples: pd.DataFrame,
    pubchem: Lookup | None = None,
    workers: int = 1,
    references: Mapping[str, Sequence[str]] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resolve the compounds that have samples.

    Returns:
        compounds: source_key, name, smiles, inchikey, pubchem_cid, cas as the source gives them, and `resolution`.
        annotations: source_key, kind, value, origin.

    Raises:
        DataError: a compound stands twice in the source's compound table.
    """
    used = sorted(samples["compound"].dropna().unique())
    if source.compounds is None:
        compounds, annotations = _from_names(used), _no_annotations()
    else:
        table = _table(source, source.compounds, files).loc[used]
        compounds, annotations = _given(source.compounds, table), _annotations(source.compounds, table)
    records = [_record(row) for row in compounds.itertuples()]
    resolutions = resolve(records, aliases=source.aliases, pubchem=pubchem, references=references, workers=workers)
    return compounds.assign(resolution=pd.Series(resolutions, dtype=object)), annotations


def _from_names(used: list[str]) -> pd.DataFrame:
    compounds = pd.DataFrame({"source_key": used, "name": used})
    for column in GIVEN[1:]:
        compounds[column] = None
    return compounds


def _no_annotations() -> pd.DataFrame:
    return pd.DataFrame(columns=["source_key", "kind", "value", "origin"])


def _table(source: Source, declared: CompoundColumns, files: Files) -> pd.DataFrame:
    table: pd.DataFrame = files[declared.table] if isinstance(declared.table, str) else declared.table(files)
    keys = table[declared.key].astype(str)
    twice = keys[keys.duplicated()]
    if len(twice):
        raise DataError(
            f"Source '{source.key}': the compound '{twice.iloc[0]}' stands twice in the compound table.",
            value=twice.iloc[0],
        )
    return table.set_index(keys.rename("source_key"))


def compound_keys(source: Source, files: Files) -> set[str]:
    """Compounds of the source's own table, where it has one."""
    return set() if source.compounds is None else set(_table(source, source.compounds, files).index)


def unknown_compounds(source: Source, files: Files, samples: pd.DataFrame) -> list[str]:
    """Compounds of samples that the source's compound table does not know."""
    if source.compounds is None:
        return []
    known = _table(source, source.compounds, files).index
    return sorted(set(samples["compound"].dropna()) - set(known))


def _given(declared: CompoundColumns, table: pd.DataFrame) -> pd.DataFrame:
    compounds = pd.DataFrame({"source_key": table.index})
    for column in GIVEN:
        raw = getattr(declared, column)
        values = table[raw].map(text_or_none) if raw is not None else pd.Series(None, index=table.index, dtype=object)
        compounds[column] = values.to_numpy()
    compounds["name"] = compounds["name"].where(compounds["name"].notna(), compounds["source_key"])
    return compounds


def _annotations(declared: CompoundColumns, table: pd.DataFrame) -> pd.DataFrame:
    origin = declared.table if isinstance(declared.table, str) else declared.table.__name__
    rows = []
    for raw, kind in declared.annotations.items():
        for key, cell in table[raw].map(text_or_none).dropna().items():
            parts = cell.split(declared.separator) if declared.separator else [cell]
            rows += [(key, kind, part.strip(), f"{origin}.{raw}") for part in parts if text_or_none(part)]
    return pd.DataFrame(rows, columns=["source_key", "kind", "value", "origin"]).drop_duplicates()


def _record(row: Any) -> Record:
    return Record(row.smiles, row.inchikey, row.pubchem_cid, row.cas, row.name, row.source_key)


def compound_rows(compounds: pd.DataFrame) -> pd.DataFrame:
    """One row per InChIKey among resolved compounds: the columns of table `compound` except its id and its name.

    Of several source compounds with one key, each column has the first value that any of them tells.
    """
    rows = [_compound_row(resolution) for resolution in compounds["resolution"] if resolution.inchikey is not None]
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows, dtype=object).groupby("inchikey", sort=False, as_index=False).first()
    return table.astype({"pubchem_cid": "Int64", "molecular_weight": float})


def _compound_row(resolution: Resolution) -> Row:
    structure = resolution.structure
    return {
        "inchikey": resolution.inchikey,
        "parent_inchikey": resolution.parent_inchikey,
        "skeleton": resolution.skeleton,
        "pubchem_cid": resolution.pubchem_cid,
        "pubchem_title": resolution.title,
        "smiles": structure.smiles if structure else None,
        "parent_smiles": structure.parent_smiles if structure else None,
        "formula": structure.formula if structure else None,
        "molecular_weight": structure.molecular_weight if structure else None,
        "fingerprint": chem.bit_string(structure.fingerprint) if structure else None,
        "pattern_fingerprint": chem.bit_string(structure.pattern_fingerprint) if structure else None,
        "rule_version": resolution.rule_version,
    }
