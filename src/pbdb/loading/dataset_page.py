"""The page on the quality of a loaded data set: of its samples, fits and effects, and its matrix where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import Connection, text

from pbdb.common import output_files
from pbdb.common.arrays import Ints, Mask
from pbdb.common.errors import QueryError, SourceError, suggestion
from pbdb.common.private_files import private_files
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.effects.engine import NullResult
from pbdb.effects.report import profiles, writing
from pbdb.effects.report.screen import FitPicture, Screen, Volcano, condition_words
from pbdb.effects.report.trend_curve import smooth
from pbdb.loading.further_fits import canonical_matrix
from pbdb.query import database
from pbdb.samples import matrix_file
from pbdb.server import connect

MOST_WELLS = 60_000
MOST_EFFECTS = 300
MOST_VOLCANOES, MOST_TRENDS = 6, 4
BINS = 40


class DatasetPage(writing.Page):
    """What is told of the page on a data set; `missing`: why its matrix is not shown, if it is not."""

    dataset: str
    missing: str


def write(settings: Settings, dataset: str, out: Path, progress: Progress = silent) -> DatasetPage:
    """Write the page on a data set; return how many figures, worries and bytes it has, and what it lacks.

    Raises:
        QueryError: no such data set is loaded.
        ConfigError: the page cannot be written there.
    """
    output_files.require_file(out)
    database.ready(settings)
    engine = connect.engine(settings)
    with engine.connect() as connection:
        readout = _readout(connection, dataset)
        progress(f"reading {dataset}", 0, None)
        contents = _Reader(connection, settings, dataset, readout).screen()
    progress(f"drawing {out.name}", 0, None)
    with output_files.replacing(out) as part:
        done = writing.write(contents, part, out)
    return {"dataset": dataset, **done, "missing": contents.missing}


def _readout(connection: Connection, dataset: str) -> str:
    rows = connection.execute(text("SELECT dataset, readout FROM core.dataset JOIN core.assay USING (assay_id)")).all()
    known = {str(name): str(readout) for name, readout in rows}
    if dataset not in known:
        raise QueryError(f"No data set '{dataset}' is loaded: {suggestion(dataset, sorted(known))}", value=dataset)
    return known[dataset]


@dataclass(frozen=True)
class _Reader:
    """Reads the parts of a page."""

    connection: Connection
    settings: Settings
    dataset: str
    readout: str

    def rows(self, query: str, **parameters: object) -> pd.DataFrame:
        done = self.connection.execute(text(query), {"dataset": self.dataset, **parameters})
        return pd.DataFrame(done.all(), columns=list(done.keys()))

    def screen(self) -> Screen:
        wells, notes = self._wells()
        measured, missing = self._profiles(wells)
        if measured is not None:
            wells = wells.assign(detected=measured.detected)
            if self.readout == "counts":
                wells = wells.assign(total=measured.total)
        effects = self.rows(_EFFECTS)
        effects["group"] = _group(effects)
        p_values, p_source = self._p_values(int((effects["status"] == "ok").sum()))
        n = self.rows(_SIZES).iloc[0]
        facts = {
            "wells": int(n["wells"]),
            "plate" if n["plates"] == 1 else "plates": int(n["plates"]),
            "vehicle wells": int(n["vehicles"]),
            "conditions estimated": int((effects["status"] == "ok").sum()),
        }
        return Screen(
            f"Quality of {self.dataset}", self.readout, facts, wells, effects, self._fits(), p_values, p_source,
            self._volcanoes(effects), None if measured is None else measured.values, missing, tuple(notes),
        )  # fmt: skip

    def _wells(self) -> tuple[pd.DataFrame, list[str]]:
        """The wells of whole plates, at most MOST_WELLS, in the order of their ids; and what is not shown."""
        plates = self.rows(_PLATES)
        kept = plates[(plates["n"].cumsum() <= MOST_WELLS) | (np.arange(len(plates)) == 0)]
        table = self.rows(_WELLS, plates=kept["plate_id"].astype(int).tolist())
        flags = [", ".join(each) for each in table["flags"]]
        left_out = np.where(table["in_fit"], "", np.where(np.array(flags) == "", "in no fit", flags))
        is_vehicle = table["is_vehicle"].astype(bool)
        compound = table["compound"].astype(object).where(table["compound"].notna(), "not named")
        wells = table.assign(
            sample=table["source_sample"].astype(str), compound=compound, is_vehicle=is_vehicle, left_out=left_out,
            condition=table["condition_id"].astype(object).where(table["condition_id"].notna(), "none").astype(str),
            group=_group(table), total=pd.to_numeric(table["n_counts"]).astype(np.float64), detected=0,
            dose_um=pd.to_numeric(table["dose_um"]), time_h=pd.to_numeric(table["time_h"]).fillna(-1.0),
        )  # fmt: skip
        if len(kept) == len(plates):
            return wells, []
        words = f"{len(kept):,} of {len(plates):,} plates, {len(wells):,} wells, stand for all in figures of wells."
        return wells, [words]

    def _profiles(self, wells: pd.DataFrame) -> tuple[profiles.Profiles | None, str]:
        try:
            with private_files(self.settings):
                path = canonical_matrix(self.connection.engine, self.settings, self.dataset)
            ids = pd.read_parquet(path.parent / "tables" / "sample.parquet", columns=["sample_id"])["sample_id"]
        except (SourceError, FileNotFoundError):
            return None, (
                "the canonical matrix is no longer in the cache, so that nothing of single genes and wells can be drawn"
                " or tested; load the data set again to have it"
            )
        row_of = pd.Series(np.arange(len(ids)), index=ids.to_numpy())
        rows = row_of.reindex(wells["sample_id"].astype(np.int64)).to_numpy(np.float64)
        if np.isnan(rows).any():
            return None, "the matrix in the cache is of another load: load the data set again"
        n_genes = len(matrix_file.read_annotations(path)[1])
        usable: Mask = (wells["left_out"] == "").to_numpy()
        order = np.argsort(rows, kind="stable")
        return _in_order(path, rows[order].astype(np.int64), order, n_genes, self.readout, usable), ""

    def _p_values(self, n_ok: int) -> tuple[Ints, str]:
        counted = np.zeros(BINS, np.int64)
        n = 0
        for (values,) in self.connection.execute(text(_P_VALUES), {"dataset": self.dataset, "most": MOST_EFFECTS}):
            p = 10.0 ** -np.asarray(values, np.float64)
            p = p[np.isfinite(p)]
            counted += np.bincount(np.minimum((p * BINS).astype(int), BINS - 1), minlength=BINS)
            n += 1
        some = (
            f" of {n:,} of {n_ok:,} conditions, picked by chance" if n < n_ok else " of all conditions and tested genes"
        )
        return counted, some

    def _fits(self) -> list[FitPicture]:
        table = self.rows(_FITS)
        table["group"] = _group(table)
        drawn = set(table.sort_values("n_genes", ascending=False).head(MOST_TRENDS)["fit_id"])
        return [self._fit(row, row["fit_id"] in drawn) for row in table.to_dict("records")]

    def _fit(self, row: dict[Any, Any], is_drawn: bool) -> FitPicture:
        null = None
        if pd.notna(row["n_null_wells"]):
            low, high = row["null_any_share_low"], row["null_any_share_high"]
            null = NullResult(int(row["n_null_wells"]), row["null_any_share"], low, high, row["null_tail_ratio"])
        if not is_drawn or row["method"] == "deseq2":
            return FitPicture(row["group"], "", null=null)
        arrays = self.rows(_TREND, fit_id=int(row["fit_id"])).iloc[0]
        x = np.asarray(arrays["ave_expr"], np.float64)
        if arrays["dispersion"] is not None:
            y, axis, words = np.sqrt(np.asarray(arrays["dispersion"], np.float64)), _BCV, _OF_DISPERSION
        else:
            y, axis, words = np.sqrt(np.asarray(arrays["sigma"], np.float64)), _SPREAD, _OF_SIGMA
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
        return FitPicture(row["group"], words, ("mean log2 expression", axis), x, y, smooth(x, y), null)

    def _volcanoes(self, effects: pd.DataFrame) -> list[Volcano]:
        ok = effects[effects["status"] == "ok"]
        ok = ok.assign(n=ok["n_up"] + ok["n_down"]).sort_values(["n", "condition"], ascending=[False, True])
        out = []
        for row in ok.drop_duplicates("compound").head(MOST_VOLCANOES).to_dict("records"):
            genes = self.rows(_VOLCANO, condition=int(row["condition"]))
            out.append(
                Volcano(f"{condition_words(row['compound'], row['dose_um'], row['time_h'])}, {row['group']}", genes)
            )
        return out


def _in_order(
    path: Path, rows: Ints, order: npt.NDArray[np.int64], n_genes: int, readout: str, usable: Mask
) -> profiles.Profiles:
    """Profiles of some rows of the matrix (ascending), back in the order of the wells."""
    measured = profiles.read(
        lambda some: matrix_file.read_rows(path, rows[some]), (len(rows), n_genes), readout, usable[order]
    )
    back = np.argsort(order, kind="stable")
    return profiles.Profiles(measured.total[back], measured.detected[back], measured.genes, measured.values[back])


def _group(table: pd.DataFrame) -> pd.Series[str]:
    """Context, and stratum where there is one."""
    stratum = table["stratum"].astype(object)
    more = (", " + stratum.astype(str)).where(stratum.notna(), "")
    return table["context_name"].astype(str) + more


_SPREAD, _BCV = "\N{SQUARE ROOT} residual sd", "\N{SQUARE ROOT} dispersion"
_OF_SIGMA = (
    "A dot is a gene: square root of its residual standard deviation over its mean. The curve is a lowess through them."
)
_OF_DISPERSION = (
    "A dot is a gene: square root of the dispersion of its counts (the biological coefficient of variation) over its"
    " mean. The curve is a lowess through them."
)
_SIZES = """SELECT count(*) AS wells, count(DISTINCT plate) AS plates, count(*) FILTER (WHERE is_vehicle) AS vehicles
    FROM pbdb.sample WHERE dataset = :dataset"""
_PLATES = """SELECT plate_id, count(*) AS n FROM core.sample JOIN core.dataset USING (dataset_id)
    WHERE dataset = :dataset GROUP BY plate_id ORDER BY plate_id"""
_WELLS = """SELECT m.sample_id, m.source_sample, p.plate, m.well, m.condition_id, m.dose_um, m.time_h, m.stratum,
        m.is_vehicle, m.n_counts, m.in_fit, m.flags, x.context_name, s.name AS compound
    FROM core.sample m JOIN core.dataset d USING (dataset_id)
    JOIN core.plate p ON p.plate_id = m.plate_id JOIN core.context x ON x.context_id = m.context_id
    LEFT JOIN core.source_compound s ON s.source_compound_id = m.source_compound_id
    WHERE d.dataset = :dataset AND m.plate_id = ANY (:plates) ORDER BY p.plate, m.well, m.sample_id"""
_EFFECTS = """SELECT condition_id AS condition, source_compound_name AS compound, dose_um, time_h, context_name,
        stratum, status, coalesce(n_up, 0) AS n_up, coalesce(n_down, 0) AS n_down
    FROM pbdb.effect WHERE dataset = :dataset AND mode = 'pooled'"""
# Ids of effects are hashes: the first so many are a sample by chance.
_P_VALUES = """SELECT e.neg_log10_p FROM core.effect e JOIN core.fit f ON f.fit_id = e.fit_id
    JOIN core.dataset d ON d.dataset_id = e.dataset_id
    WHERE d.dataset = :dataset AND f.is_default AND e.status = 'ok' ORDER BY e.effect_id LIMIT :most"""
_FITS = "SELECT * FROM pbdb.fit WHERE dataset = :dataset AND is_default"
_TREND = "SELECT ave_expr, sigma, dispersion FROM core.fit WHERE fit_id = :fit_id"
_VOLCANO = """SELECT coalesce(gene_symbol, gene_id) AS gene, log2_fc, p_value, p_adj FROM pbdb.condition_effect
    WHERE dataset = :dataset AND condition_id = :condition"""
