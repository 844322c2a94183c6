"""Shards and what stands beside them, and the example of docs/training_data.md."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from export_worlds import rows

from pbdb.common.settings import Settings
from pbdb.exports import shards
from pbdb.exports.selection import Choice

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "training_data.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)[0]


@pytest.fixture
def written(exports: Settings, tmp_path: Path, monkeypatch: Any) -> Path:
    """Shards of 200 rows."""
    monkeypatch.setattr(shards, "ROWS", 200)
    shards.write(exports, Choice(), tmp_path / "shards", key="parent_inchikey")
    return tmp_path / "shards"


def test_nothing_but_rows_is_below_data(written: Path) -> None:
    counted = duckdb.sql(f"SELECT count(*) AS n, count(DISTINCT fold) AS folds FROM '{written}/data/*/*.parquet'")
    described = pd.concat(pd.read_parquet(path) for path in sorted((written / "metadata").glob("*.parquet")))
    assert counted.fetchall() == [(described["size"].sum(), 1)]
    assert sorted(path.name for path in written.iterdir()) == ["compounds.parquet", "data", "genes.parquet", "metadata"]
    assert {pq.read_metadata(written / path).num_rows for path in described["shard_path"]} <= set(described["size"])


def test_rows_have_standard_errors_and_numbers_of_wells(exports: Settings, written: Path) -> None:
    keys = ["dataset", "context", "perturbation", "readout", "log_dose"]
    found = pd.read_parquet(written / "data")[[*keys, "se", "n_treated", "fold"]]
    stated = rows(
        exports,
        "SELECT e.dataset, replace(e.context, ':', '_') AS context, e.parent_inchikey, e.gene_id,"
        " log(e.dose_um) AS log_dose, e.se, f.n_treated, 'train' AS fold"
        " FROM pbdb.condition_effect e JOIN pbdb.effect f USING (effect_id)"
        " JOIN pbdb.dataset d ON d.dataset = e.dataset AND d.is_redistributable"
        " WHERE e.parent_inchikey IS NOT NULL AND e.dose_um > 0",
    )
    stated.columns = found.columns
    found, stated = (table.sort_values(keys).reset_index(drop=True) for table in (found, stated))
    pd.testing.assert_frame_equal(found, stated, check_dtype=False, rtol=1e-5, check_categorical=False)


def test_compounds_and_genes_are_those_that_occur(written: Path) -> None:
    shown = pd.read_parquet(written / "data")
    compounds, genes = (pd.read_parquet(written / f"{name}.parquet") for name in ("compounds", "genes"))
    assert set(compounds["perturbation"]) == set(shown["perturbation"]) and compounds["perturbation"].is_unique
    assert set(genes["readout"]) == set(shown["readout"]) and genes["readout"].is_unique
    assert compounds["smiles"].notna().all() and {len(bits) for bits in compounds["fingerprint"]} == {256}


class _Worker:
    id, num_workers = 1, 2


@pytest.mark.parametrize("worker", [None, _Worker])
def test_the_example_reads_them(written: Path, monkeypatch: pytest.MonkeyPatch, worker: Any) -> None:
    """With stand-ins for the two names of torch that it takes; a second worker reads the other shards."""
    torch = types.ModuleType("torch.utils.data")
    torch.IterableDataset, torch.get_worker_info = type("IterableDataset", (), {}), lambda: worker  # type: ignore[attr-defined]
    for name in ("torch", "torch.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "torch.utils.data", torch)
    monkeypatch.chdir(written.parent)
    names: dict[str, Any] = {}
    exec(EXAMPLE, names)  # the page's own code
    assert names["batch"]["fingerprint"].shape[1] == 2048 and np.isfinite(names["weight"]).all()
    train = names["train"]
    sizes = [pq.read_metadata(written / path).num_rows for path in train.shards[1::2] if worker]
    read = sum(len(batch["value"]) for batch in train)
    assert read == (sum(sizes) if worker else len(pd.read_parquet(written / "data")))
