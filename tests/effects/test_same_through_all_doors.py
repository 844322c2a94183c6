"""`etl load`, `effects run` and `de run` make the same numbers of the same matrix and sheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import made
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from loads import query

from pbdb import readers
from pbdb.common.settings import Settings
from pbdb.effects import plate_run
from pbdb.effects.engine import Options, batching
from pbdb.effects.options import FitOptions
from pbdb.identity.genes.resolve import gene_id_of
from pbdb.loading import further_fits
from pbdb.readers.profile_block import ProfileBlock
from pbdb.sources.declaration import Assay, Context, Dataset, File, Files, Flag, Source, col

MIN_CELLS = 10
DRUGS = ("zeta", "alpha", "mid", "beta", "y", "x")
KEY = ["compound", "dose_um", "time_h", "context", "stratum"]
STATED = ["status", "n_treated", "n_vehicle", "n_plates"]


def sheet() -> pd.DataFrame:
    """Two contexts, two strata in one of them; few cells, empty wells, an unknown dose, a time without vehicle."""
    parts = []
    for cells, stratum in (("A", None), ("B", "high"), ("B", "low")):
        for drug in ("DMSO", *DRUGS):
            for well in range(6 if drug == "DMSO" else 4):
                parts.append((drug, "" if drug == "DMSO" else "10", f"p{well % 2 + 1}", cells, stratum))
    table = pd.DataFrame(parts, columns=["drug", "dose", "plate", "cells", "layer"])
    table = table.sample(frac=1, random_state=3, ignore_index=True)  # names and plates appear in no order
    table = table.assign(sample=[f"s{at:03d}" for at in range(len(table))], unit="uM", hours="24", note="", n="100")
    first = table[table["drug"] != "DMSO"].groupby(["cells", "layer", "drug"], dropna=False).head(1)
    table.loc[first.index[::4], "n"] = "3"
    table.loc[(table["drug"] == "mid") & (table["cells"] == "A"), "n"] = "3"  # a condition without a sample
    table.loc[(table["drug"] == "y") & (table["layer"] == "low"), "dose"] = ""
    table.loc[(table["drug"] == "x") & (table["layer"] == "high"), "hours"] = "48"
    return table


def profiles(table: pd.DataFrame, readout: str) -> pd.DataFrame:
    """Counts with some empty wells, or intensities that fit 32 bits."""
    counts = made.counts(table["sample"].tolist())
    if readout == "log2_intensity":
        return np.log2(counts + 1.0).astype(np.float32).astype(np.float64)
    empty = table.index[table["drug"].isin(["zeta", "DMSO"])][::7]
    counts[table.loc[empty, "sample"].tolist()] = 0
    return counts


def source(readout: str) -> Source:
    """The declaration that says of the sheet what `de run` is told by its columns."""

    def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
        values = pd.read_csv(files.path("counts"), index_col=0)
        table = files["sheet"]
        matrix: Any = values[table["sample"].tolist()].to_numpy().T
        if readout == "counts":
            matrix = sp.csr_matrix(matrix)
        yield ProfileBlock(table, matrix, values.index.to_numpy())

    samples = replace(made.SOURCE.samples, stratum=col("layer"), n_cells=col("n"))
    empty = (Flag("no_counts", "n_counts == 0"),) if readout == "counts" else ()
    return made.source(
        assay=Assay("made", readout),
        samples=samples,
        files={"sheet": File("sheet.csv", readers.csv), "counts": File("counts.csv", readers.csv)},
        datasets={"made": Dataset(release="1", license="MIT", citation="a test", min_cells=MIN_CELLS)},
        contexts={"A": Context("CVCL:0001", "A"), "B": Context("CVCL:0002", "B")},
        flags=(*made.SOURCE.flags, *empty),
        blocks=blocks,
    )


def write(folder: Path, readout: str) -> Path:
    """The release, and the same as matrix and sheet of anyone's plates."""
    table = sheet()
    place = made.write(folder / "release", table, profiles(table, readout))
    table["context"] = table["cells"].map({"A": "CVCL:0001", "B": "CVCL:0002"})
    columns = {"sample": "sample_id", "drug": "compound", "dose": "dose_um", "hours": "time_h", "n": "n_cells"}
    own = table.rename(columns={**columns, "layer": "stratum"}).assign(is_control=table["drug"] == "DMSO")
    own.loc[own["is_control"], "dose_um"] = "0"
    names = [*columns.values(), "plate", "is_control", "context", "stratum"]
    own[names].to_csv(place / "own.csv", index=False)
    return place


def of_plates(place: Path, choices: FitOptions) -> pd.DataFrame:
    """What `de run` writes."""
    out = place / "out.parquet"
    plate_run.run(place / "counts.csv", place / "own.csv", out, choices)
    table = pd.read_parquet(out)
    stratum = table["condition"].str.extract(r"_(high|low)$")[0]
    return table.assign(stratum=stratum.astype(object).where(stratum.notna(), None))


STORED = """SELECT s.name AS compound, c.dose_fm / 1e9 AS dose_um, c.time_h, x.context, c.stratum, e.status,
    e.n_treated, e.n_vehicle, e.n_plates, p.source_sample AS sample_id, g.gene_keys, e.log2_fc, e.se, e.neg_log10_p,
    e.neg_log10_p_adj
    FROM core.effect e JOIN core.fit f USING (dataset_id, fit_id)
    JOIN core.feature_set g USING (feature_set_id)
    JOIN core.condition c USING (dataset_id, condition_id) JOIN core.context x ON x.context_id = c.context_id
    JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
    LEFT JOIN core.sample p ON p.sample_id = e.sample_id AND p.dataset_id = e.dataset_id
    WHERE f.is_default = :is_default"""


def of_database(settings: Settings, *, is_default: bool) -> pd.DataFrame:
    """What is stored, one row per effect and gene as `de run` has it."""
    columns = [*KEY, *STATED, "sample_id", "gene_keys", "log2_fc", "se", "neg_log10_p", "neg_log10_p_adj"]
    rows = pd.DataFrame(query(settings, STORED, is_default=is_default), columns=columns)
    arrays = [name for name in columns if name in ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")]
    estimated = rows["status"] == "ok"
    rows.loc[~estimated, "gene_keys"] = None
    long = rows.explode(["gene_keys", *arrays], ignore_index=True)
    long["gene"] = [None if pd.isna(key) else gene_id_of(key) for key in long["gene_keys"]]
    return long.astype(dict.fromkeys(arrays, float))


def assert_same(ours: pd.DataFrame, stored: pd.DataFrame, *, mode: str = "pooled") -> None:
    keys = [*KEY, *(["sample_id"] if mode == "replicate" else []), "gene"]
    sides = []
    for side in (ours, stored):
        table = side.assign(dose_um=side["dose_um"].astype(float), time_h=side["time_h"].astype(float))
        table[keys] = table[keys].astype(object).where(table[keys].notna(), "none")
        sides.append(table.sort_values(keys, key=lambda column: column.astype(str), ignore_index=True))
    left, right = sides
    assert left[keys].astype(str).to_numpy().tolist() == right[keys].astype(str).to_numpy().tolist()
    for name in STATED:
        assert left[name].tolist() == right[name].tolist(), name
    assert (left["status"] == "ok").sum() > 300
    for name in ("log2_fc", "se"):  # the same bits, once ours are rounded to the 32 that are stored
        np.testing.assert_array_equal(left[name].to_numpy(np.float32), right[name].to_numpy(np.float32), name)
    for p, tail in (("p_value", "neg_log10_p"), ("p_adj", "neg_log10_p_adj")):
        np.testing.assert_allclose(-np.log10(left[p].to_numpy(float)), right[tail], rtol=2e-6, atol=1e-6)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 6 to 8 treated wells."""
    monkeypatch.setattr(batching, "TARGET", 6)
    monkeypatch.setattr(batching, "EXCESS", 2)


@pytest.mark.parametrize("readout", ["counts", "log2_intensity"])
@pytest.mark.usefixtures("small_batches")
def test_a_load_further_fits_and_plates_agree_to_the_bit(database: Settings, tmp_path: Path, readout: str) -> None:
    place = write(tmp_path, readout)
    options = Options(readout, threads=1)  # type: ignore[arg-type]
    made.load(database, place, source(readout))
    ours = of_plates(place, FitOptions(options, min_cells=MIN_CELLS))
    stored = of_database(database, is_default=True)
    assert_same(ours, stored)
    assert set(stored["status"]) == {"ok", "no_sample", "no_dose", "no_vehicle"}
    published = FitOptions(options, min_cells=MIN_CELLS, batching="published", is_default=False)
    further_fits.run_fits(database, "made", published)
    assert len(query(database, "SELECT FROM core.fit WHERE NOT is_default")) > 3
    assert_same(of_plates(place, published), of_database(database, is_default=False))


def test_single_wells_agree_to_the_bit(database: Settings, tmp_path: Path) -> None:
    place = write(tmp_path, "counts")
    made.load(database, place, source("counts"), effects=False)
    choices = FitOptions(Options(threads=1), mode="replicate", min_cells=MIN_CELLS, is_default=False)
    further_fits.run_fits(database, "made", choices)
    ours = of_plates(place, choices)
    assert_same(ours, of_database(database, is_default=False), mode="replicate")
    assert (ours["status"] == "no_sample").any()


@pytest.mark.usefixtures("small_batches")
def test_empty_wells_decide_no_batch(tmp_path: Path) -> None:
    """The published rule cuts what can be used: a well without a count must not move a compound to another batch."""
    place = write(tmp_path, "counts")
    published = FitOptions(Options(threads=1), batching="published")
    before = plate_run.run(place / "counts.csv", place / "own.csv", place / "before.parquet", published)
    own, counts = pd.read_csv(place / "own.csv"), pd.read_csv(place / "counts.csv", index_col=0)
    empty = counts.columns[(counts == 0).all()]
    own[~own["sample_id"].isin(empty)].to_csv(place / "own.csv", index=False)
    counts.drop(columns=empty).to_csv(place / "counts.csv")
    after = plate_run.run(place / "counts.csv", place / "own.csv", place / "after.parquet", published)
    assert len(empty) > 3
    assert [fit["batch"] for fit in before["fits"]] == [fit["batch"] for fit in after["fits"]]
    assert sum(fit["n_left_out"].get("no_counts", 0) for fit in before["fits"]) >= len(empty)
    pd.testing.assert_frame_equal(pd.read_parquet(place / "before.parquet"), pd.read_parquet(place / "after.parquet"))
