"""The simulated L1000 releases: layout, traps and planted effects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pbdb.readers.gctx import Gctx
from pbdb.simulate import l1000

Written = tuple[Path, l1000.Truth]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("l1000")
    return folder, l1000.write(folder)


def table(folder: Path, pattern: str) -> pd.DataFrame:
    (path,) = folder.glob(pattern)
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def test_the_same_seed_writes_the_same_bytes(written: Written, tmp_path: Path) -> None:
    l1000.write(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text() == (written[0] / "SHA256SUMS").read_text()
    l1000.write(tmp_path / "other", seed=1)
    assert (tmp_path / "other" / "SHA256SUMS").read_text() != (written[0] / "SHA256SUMS").read_text()


@pytest.mark.parametrize("series", ["GSE92742", "GSE70138"])
def test_matrix_and_table_list_the_same_wells_in_another_order(written: Written, series: str) -> None:
    (path,) = written[0].glob(f"{series}*.gctx")
    ids = Gctx(path).column_ids.tolist()
    listed = table(written[0], f"{series}*inst_info*")["inst_id"].tolist()
    assert listed != ids
    assert {name.upper() for name in listed} == {name.upper() for name in ids}
    assert set(listed) != set(ids)


def test_phases_have_the_columns_of_their_own_tables(written: Written) -> None:
    first, second = (table(written[0], f"{series}*inst_info*") for series in ("GSE92742", "GSE70138"))
    assert {"rna_plate", "rna_well"} <= set(first) and "det_plate" not in first
    assert {"det_plate", "det_well", "pert_mfc_id"} <= set(second) and "rna_plate" not in second
    assert "pubchem_cid" in table(written[0], "GSE92742*pert_info*")
    assert "pubchem_cid" not in table(written[0], "GSE70138*pert_info*")


def test_planted_effects_are_in_the_values(written: Written) -> None:
    folder, truth = written
    (path,) = folder.glob("GSE70138*.gctx")
    found = Gctx(path).read()
    inst = table(folder, "GSE70138*inst_info*")
    inst["inst_id"] = inst["inst_id"].map({name.lower(): name for name in found.columns.index}).fillna(inst["inst_id"])
    wells = inst[inst["cell_id"] == "A375"].set_index("inst_id").reindex(found.columns.index).dropna()
    treated = wells.index[(wells["pert_id"] == l1000.pert_id(1)) & wells["pert_dose"].isin(["10", "10.00003", "10000"])]
    vehicle = wells.index[wells["pert_type"] == "ctl_vehicle"]
    place = found.columns.index.get_indexer
    seen = found.values[place(treated)].mean(axis=0) - found.values[place(vehicle)].mean(axis=0)
    names = table(folder, "GSE70138*gene_info*")["pr_gene_symbol"]
    drug = truth.effects["compound"].unique()
    planted = truth.effects[(truth.effects["compound"] == "vorinostat") & (truth.effects["dose_um"] == 10)]
    expected = names.map(planted.set_index("gene_symbol")["log2_fc"]).fillna(0).to_numpy()
    assert "vorinostat" in drug and len(treated) == 3
    assert np.corrcoef(seen, expected)[0, 1] > 0.7


def test_only_landmarks_respond(written: Written) -> None:
    folder, truth = written
    genes = table(folder, "GSE92742*gene_info*")
    landmarks = set(genes.loc[genes["pr_is_lm"] == "1", "pr_gene_symbol"])
    assert len(landmarks) == truth.landmarks < len(genes)
    assert set(truth.effects["gene_symbol"]) <= landmarks
