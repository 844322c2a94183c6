"""The field's standard sample table, as canonical files have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from pbdb.common import units
from pbdb.sources.declaration import Source


def standard_obs(source: Source, dataset: str, samples: pd.DataFrame) -> pd.DataFrame:
    """Columns of the field's standard sample table, with pbdb's own (source_sample, flags, in_fit) after them."""
    cells = {declared.context: declared for declared in source.contexts.values()}
    where = samples["context"]
    obs = pd.DataFrame(index=samples.index)
    obs["plate"], obs["well"] = samples["plate"], samples["well"]
    obs["cell_type"] = where.str.replace(":", "_", n=1)
    obs["perturbagen"] = samples["compound"]
    obs["pert_type"] = "compound"
    obs["is_control"] = samples["is_vehicle"]
    obs["pert_dose_uM"] = samples["dose_fm"].astype("Float64") / units.FM_PER_UM
    obs["pert_time_h"] = samples["time_h"]
    obs["suspension_type"] = source.samples.suspension_type
    obs["tissue"] = where.map(lambda key: cells[key].tissue or "unknown")
    obs["tissue_type"] = "cell culture"
    obs["disease"] = where.map(lambda key: cells[key].disease or "unknown")
    obs["library"] = _attribute(samples, "library")
    obs["stimulation"] = None
    obs["guide"] = None
    obs["dataset"] = dataset
    obs["assay"] = source.assay.technology
    obs["development_stage"] = _told(samples, "development_stage", lambda key: cells[key].development_stage)
    obs["organism"] = where.map(lambda key: cells[key].organism)
    obs["sex"] = _told(samples, "sex", lambda key: cells[key].sex)
    obs["self_reported_ethnicity"] = _told(samples, "self_reported_ethnicity", lambda key: cells[key].ethnicity)
    obs["psbulk_cells"] = samples["n_cells"].fillna(-666).astype("int64")
    obs["psbulk_counts"] = samples["n_counts"].fillna(-666).astype("int64")
    obs["source_sample"], obs["stratum"] = samples["source_sample"], samples["stratum"]
    obs["in_fit"] = samples["in_fit"]
    obs["flags"] = samples["flags"].map(",".join)
    for name in obs.columns[[kind.kind == "O" for kind in obs.dtypes]]:
        obs[name] = obs[name].astype("category")
    for name in ("pert_dose_uM", "pert_time_h"):
        obs[name] = obs[name].astype("float64")
    parts = (samples["plate"], samples["well"], samples["compound"], obs["cell_type"].astype(object))
    names = pd.Series(["_".join(str(part) for part in row if part is not None) for row in zip(*parts, strict=True)])
    source_names = samples["source_sample"].astype(str).to_numpy()
    obs.index = pd.Index(names.where(~names.duplicated(keep=False), names + "_" + source_names))
    obs.index.name = "sample_id"
    return obs


def _attribute(samples: pd.DataFrame, name: str) -> pd.Series[Any]:
    return samples["attributes"].map(lambda values: values.get(name))


def _told(samples: pd.DataFrame, name: str, of_cells: Callable[[str], str | None]) -> pd.Series[Any]:
    """What the source tells of a sample, where donors differ; else what it tells of the cells."""
    stated = _attribute(samples, name)
    return stated.where(stated.notna(), samples["context"].map(lambda key: of_cells(key) or "unknown"))
