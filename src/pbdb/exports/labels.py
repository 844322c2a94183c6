"""Names of conditions and columns of samples as the published result files write them.

A condition is `{compound}_{dose}uM_{time}h`, its vehicle `{compound}_{time}h`, a row `{condition} - {vehicle}` with
every character but letters, digits and `_` replaced. L1000 names compounds by PubChem CID. Where any dose of a
dataset has more than four decimals, all of its doses are rounded to four, half up.
"""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd

from pbdb.exports.selection import Connection, FitChoice, frame

BY_CID = ("l1000",)
UNKNOWN_NUMBER = -666
FM_PER_UM = 10**9


def obs(connection: Connection, chosen: FitChoice) -> pd.DataFrame:
    """The standard sample columns for each chosen effect, its condition's label as index, pbdb's own columns last.

    Plate, well, library and counts are those of the first well of the condition.
    """
    effects, facts = chosen.effects, chosen.facts
    names = _perturbagens(effects, facts["source"])
    table = pd.DataFrame({"plate": effects["plate"], "well": effects["well"], "cell_type": chosen.context_id})
    table["perturbagen"] = names
    table["pert_type"], table["is_control"] = "compound", False
    table["pert_dose_uM"] = effects["dose_um"].astype("float64")
    table["pert_time_h"] = effects["time_h"].astype("float64")
    table["suspension_type"] = "nucleus" if facts["source"] == "sciplex" else "cell"
    table["tissue"], table["tissue_type"] = facts["tissue"] or "unknown", "cell culture"
    table["disease"], table["library"] = facts["disease"] or "unknown", effects["library"]
    table["stimulation"], table["guide"] = None, None
    table["dataset"], table["assay"] = facts["dataset"], facts["technology"]
    table["development_stage"] = facts["development_stage"] or "unknown"
    table["organism"], table["sex"] = facts["organism"], facts["sex"] or "unknown"
    table["self_reported_ethnicity"] = facts["ethnicity"] or "unknown"
    table["pubchem_cid"] = effects["pubchem_cid"].astype("Int64").astype("category")
    for name, column in (("psbulk_cells", "n_cells"), ("psbulk_counts", "n_counts")):
        table[name] = pd.to_numeric(effects[column]).fillna(UNKNOWN_NUMBER).astype("int64")
    if facts["source"] in BY_CID:
        table["perturbagen_name"] = effects["compound_name"]
    table = _with_own(table, chosen)
    table.index = _unique(_labels(connection, chosen, names))
    return _as_categories(table)


def _with_own(table: pd.DataFrame, chosen: FitChoice) -> pd.DataFrame:
    ours = ["compound_name", "inchikey", "parent_inchikey", "n_treated", "n_vehicle", "n_plates"]
    ids = ["condition_id", "effect_id"]
    return table.assign(stratum=chosen.facts["stratum"], **{name: chosen.effects[name] for name in ours + ids})


def _as_categories(table: pd.DataFrame) -> pd.DataFrame:
    for name in table.columns[[kind.kind in "Ob" for kind in table.dtypes]]:
        if name != "pubchem_cid":
            table[name] = table[name].astype("category")
    return table


def _unique(labels: list[str]) -> pd.Index:
    """Labels that differ in punctuation alone are told apart by -1, -2, ... as anndata does."""
    from anndata.utils import make_index_unique

    index = pd.Index(labels, dtype=object)
    return index if index.is_unique else make_index_unique(index)


def _perturbagens(effects: pd.DataFrame, source: str) -> list[str]:
    if source not in BY_CID:
        return list(effects["source_name"])
    return [
        name if pd.isna(cid) else str(int(cid))
        for name, cid in zip(effects["source_name"], effects["pubchem_cid"], strict=True)
    ]


def _labels(connection: Connection, chosen: FitChoice, names: list[str]) -> list[str]:
    facts, effects = chosen.facts, chosen.effects
    key = {"dataset_id": facts["dataset_id"], "context_id": facts["context_id"], "stratum": facts["stratum"]}
    vehicles = frame(connection, _VEHICLES, key)
    named = defaultdict(
        lambda: "vehicle", zip(vehicles["time_h"], _perturbagens(vehicles, facts["source"]), strict=True)
    )
    rounded = bool(frame(connection, _HAS_FINE_DOSE, {"dataset_id": facts["dataset_id"]}).iloc[0, 0])
    rows = zip(names, effects["dose_fm"], effects["time_h"], strict=True)
    return [
        f"{_clean(f'{name}_{dose_text(dose, rounded)}uM_{time:.15g}h')} - {_clean(f'{named[time]}_{time:.15g}h')}"
        for name, dose, time in rows
    ]


def dose_text(dose_fm: int | None, rounded: bool) -> str:
    """A dose in uM as the labels write it: 15 significant digits, or four decimals, trailing zeros removed."""
    if dose_fm is None or pd.isna(dose_fm):
        return "nan"
    if not rounded:
        return f"{dose_fm / FM_PER_UM:.15g}"
    exact = (Decimal(int(dose_fm)) / FM_PER_UM).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    text = f"{exact:f}".rstrip("0").rstrip(".")
    return text or "0"


def _clean(label: str) -> str:
    return re.sub(r"\W", "_", label)


_VEHICLES = """
SELECT DISTINCT ON (c.time_h) c.time_h, s.name AS source_name, k.pubchem_cid
FROM core.condition c JOIN core.source_compound s USING (source_compound_id)
LEFT JOIN core.compound k USING (compound_id)
WHERE c.dataset_id = %(dataset_id)s AND c.context_id = %(context_id)s AND c.is_vehicle
AND c.stratum IS NOT DISTINCT FROM %(stratum)s::text ORDER BY c.time_h, s.name"""

# A dose with more than four decimals in uM is no multiple of 100,000 fM.
_HAS_FINE_DOSE = """
SELECT coalesce(bool_or(mod(dose_fm, 100000) <> 0), false) FROM core.condition WHERE dataset_id = %(dataset_id)s"""
