"""What docs/pseudobulk.md shows runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import anndata as ad
import pytest
from single_cells import write

from pbdb.readers import matrices


def test_the_example_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("cells.h5ad"))
    (example,) = re.findall(r"```python\n(.*?)```", (root / "docs/pseudobulk.md").read_text(encoding="utf-8"), re.S)
    exec(example, {})
    samples = ad.read_h5ad("samples.h5ad")
    assert capsys.readouterr().out.startswith("400 {'few_genes': ")
    assert "psbulk_props" in samples.layers
    assert matrices.read(Path("samples.h5ad"), sparse=True).values.sum() == samples.obs["psbulk_counts"].sum()
    assert {"plate", "well", "line", "drug", "dose", "psbulk_cells", "psbulk_counts"} == set(samples.obs.columns)
