"""`pbdb etl new`: whatever columns and files are called, what it writes is Python and says what the sheet says."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pbdb.loading import draft_source
from pbdb.loading.sheet_inference import quoted

KNOWN = ["Sample", "Plate", "Drug", "Dose_uM", "Hours", "Cell line"]
LONG = ["Batch of the reagent kit", "Date of library preparation", "Name of the sequencing operator", "RNA integrity"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def declaration(columns: list[str], matrix: str = "counts.h5ad", cells: str = "MCF7") -> ast.Module:
    """What is written for a screen with these further columns."""
    names = [f"s{at}" for at in range(4)]
    values = dict(zip(KNOWN, [names, "P1", ["DMSO", "torin 1"] * 2, ["0", "10"] * 2, "24", cells], strict=True))
    obs = pd.DataFrame(values | dict.fromkeys(columns, "x"), index=names)
    genes = pd.DataFrame(index=[f"ENSG{at:011d}" for at in range(30)])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, matrix)
        ad.AnnData(np.ones((4, 30), dtype=np.float32), obs, genes).write_h5ad(place)
        path = draft_source.write(Path(folder, "screen.py"), place, technology="DRUG-seq").path
        return ast.parse(path.read_text(encoding="utf-8"))


def attributes(module: ast.Module) -> list[str]:
    """The columns of the sheet that the declaration keeps as attributes."""
    (found,) = [node.value for node in ast.walk(module) if isinstance(node, ast.keyword) and node.arg == "attributes"]
    return [str(name) for name in ast.literal_eval(found) if name != "obs_name"]


@settings(max_examples=60, deadline=None)
@given(TEXT)
@example('"""\nimport os\n"""')
@example("\u202e\x1b]0;x\x07\\")
@example("\U0001f9ec")
def test_any_text_is_one_line_of_python(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
    assert len(quoted(text).splitlines()) == 1
    assert ast.literal_eval(f'"""{quoted(text)} x"""') == f'"{text}" x'


@settings(max_examples=15, deadline=None)
@given(st.lists(TEXT.map(lambda name: f"q {name}".replace("/", "").replace("\0", "")), min_size=1, unique=True))
@example(LONG)
@example(['a"""b', "c\\", "#`'", "FILL_IN  # x"])
def test_any_columns_are_kept_by_their_names(columns: list[str]) -> None:
    assert attributes(declaration(columns)) == columns


@pytest.mark.parametrize("name", ['m"""\nimport os\nos._exit(3)\n"""', "a\\", "\u202ex", "b'\x1b[2J"])
def test_a_file_may_be_called_anything(name: str) -> None:
    module = declaration(["x"], f"{name}.h5ad")
    assert name in (ast.get_docstring(module, clean=False) or "")
    assert not any(isinstance(node, ast.Import) for node in module.body)


@pytest.mark.parametrize("cells", ["mine\0 # x", 'a\n\'"""', "\x85FILL_IN"])
def test_cells_may_be_called_anything(cells: str) -> None:
    declaration(["x"], cells=cells.replace("\0", "\x01"))
