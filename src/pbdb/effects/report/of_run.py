"""The page of `pbdb de run`: wells and values as read, fits as made, and effects from the table that was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from pbdb.common.rows import Row
from pbdb.effects.engine import OK, Fit, NullResult
from pbdb.effects.groups import Plan
from pbdb.effects.plate_sheets import Plates
from pbdb.effects.report import profiles
from pbdb.effects.report.screen import FitPicture, Screen, Volcano, condition_words
from pbdb.effects.report.trend_curve import smooth

BINS = 40
MOST_VOLCANOES = 6
ALONE = "all samples"
SPREAD = "\N{SQUARE ROOT} residual sd"
OF_INTENSITIES = (
    "A dot is a gene: square root of its residual standard deviation over its mean. The curve is a lowess through them."
)
OF_VOOM = (
    "A dot is a gene: square root of its residual standard deviation without weights. The curve is voom's: the weights"
    " of single values come from it. A rise at its left end would call for a stricter filter."
)


@dataclass
class Notes:
    """What fits leave for the page on their way, if one is wanted."""

    wanted: bool = False
    fits: list[FitPicture] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)

    def of_plan(self, plan: Plan) -> None:
        """Keep which wells were left out, and of which fit each well is."""
        if not self.wanted:
            return
        rows = plan.group.wells.index.to_numpy()
        self.groups.update(dict.fromkeys(rows.tolist(), plan.group.label))
        self.left_out.update({int(row): str(why) for row, why in zip(rows, plan.left_out, strict=True) if why})

    def of_fit(self, label: str, fit: Fit, null: NullResult | None) -> None:
        """Keep the trend of a fit and its check on vehicle wells."""
        if self.wanted:
            self.fits.append(picture(label, fit, null))


def picture(label: str, fit: Fit, null: NullResult | None) -> FitPicture:
    """The trend of a fit: voom's curve through the first pass, or a smooth one through the spread of intensities."""
    if fit.curve is None or fit.library is None:
        y = np.sqrt(fit.sigma)
        axes = ("mean log2 value", SPREAD)
        return FitPicture(label, OF_INTENSITIES, axes, fit.ave_expr, y, smooth(fit.ave_expr, y), null)
    level = fit.ave_expr + np.log2(fit.library + 1.0).mean() - np.log2(1e6)
    axes = ("mean log2 count", SPREAD)
    return FitPicture(label, OF_VOOM, axes, level, np.sqrt(fit.sigma_first), (fit.curve.x, fit.curve.y), null)


def screen(experiment: Plates, readout: str, notes: Notes, parquet: Path, name: str) -> Screen:
    """Gather the page's contents; `parquet` is the table of effects."""
    sheet = experiment.sheet
    rows = range(len(sheet))
    group = pd.Series([notes.groups.get(at, ALONE) for at in rows])
    left_out = pd.Series([notes.left_out.get(at, "") for at in rows])
    measured = profiles.read(
        lambda some: experiment.values[some], experiment.values.shape, readout, (left_out == "").to_numpy()
    )
    wells = pd.DataFrame(
        {
            "sample": sheet["sample_id"].astype(str),
            "plate": sheet["plate"].astype(str),
            "well": sheet["well"],
            "compound": sheet["compound"].fillna("vehicle"),
            "condition": group + "|" + sheet["condition"].astype(str),
            "dose_um": sheet["dose_um"],
            "time_h": sheet["time_h"],
            "is_vehicle": sheet["is_control"].astype(bool),
            "group": group,
            "left_out": left_out,
            "total": measured.total,
            "detected": measured.detected,
        }
    )
    with duckdb.connect() as db:
        db.execute("SET threads = 2")
        effects, p_values, volcanoes = _effects(db, parquet)
    facts = {
        "wells": len(wells),
        "plate" if wells["plate"].nunique() == 1 else "plates": wells["plate"].nunique(),
        "vehicle wells": int(wells["is_vehicle"].sum()),
        "conditions estimated": int((effects["status"] == OK).sum()),
    }
    notes_shown = tuple(f"{note[0].upper()}{note[1:]}." for note in experiment.notes)
    of_what = " of all conditions and tested genes"
    return Screen(
        f"Quality of {name}", readout, facts, wells, effects, notes.fits, p_values, of_what, volcanoes, measured.values,
        notes=notes_shown,
    )  # fmt: skip


def _effects(db: Any, parquet: Path) -> tuple[pd.DataFrame, Any, list[Volcano]]:
    """Effects with their numbers of genes, p values in bins, and the strongest effects gene by gene."""
    names = pq.read_schema(parquet).names
    keys = [name for name in ("context", "condition", "compound", "dose_um", "time_h", "sample_id") if name in names]
    listed = ", ".join(keys)
    effects = db.execute(
        f"SELECT {listed}, status, count(*) FILTER (p_adj < 0.05 AND log2_fc > 0) AS n_up,"
        f" count(*) FILTER (p_adj < 0.05 AND log2_fc < 0) AS n_down {_FROM} GROUP BY {listed}, status",
        [str(parquet)],
    ).df()
    effects["group"] = effects["context"].astype(object).where(effects["context"].notna(), ALONE)
    bins = db.execute(
        f"SELECT least({BINS - 1}, floor(p_value * {BINS}))::int AS bin, count(*) AS n {_FROM}"
        " WHERE p_value IS NOT NULL GROUP BY bin",
        [str(parquet)],
    ).df()
    p_values = np.zeros(BINS, np.int64)
    p_values[bins["bin"].to_numpy(int)] = bins["n"].to_numpy(int)
    ok = effects[effects["status"] == OK].assign(n=effects["n_up"] + effects["n_down"])
    strongest = ok.sort_values(["n", "condition"], ascending=[False, True]).drop_duplicates("compound")
    volcanoes = [_volcano(db, parquet, row, keys) for row in strongest.head(MOST_VOLCANOES).to_dict("records")]
    return effects, p_values, volcanoes


def _volcano(db: Any, parquet: Path, row: Row, keys: list[str]) -> Volcano:
    named = [key for key in ("context", "condition", "sample_id") if key in keys]
    where = " AND ".join(f"{key} IS NOT DISTINCT FROM ?" for key in named)
    wanted = [None if pd.isna(row[key]) else row[key] for key in named]
    genes = db.execute(
        f"SELECT gene, log2_fc, p_value, p_adj {_FROM} WHERE {where} AND log2_fc IS NOT NULL", [str(parquet), *wanted]
    ).df()
    title = condition_words(row["compound"], row["dose_um"], row["time_h"])
    more = [str(row[key]) for key in ("context", "sample_id") if key in keys and not pd.isna(row[key])]
    return Volcano(", ".join([title, *more]), genes)


_FROM = "FROM read_parquet(?)"
