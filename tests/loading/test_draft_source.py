"""`pbdb etl new`: what two files say by themselves, and blanks for what they do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from loads import environment
from screen_files import KNOWN, counts, sheet

from pbdb import readers
from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, DataError, SourceError
from pbdb.common.settings import Settings
from pbdb.loading import draft_source
from pbdb.sources import registry


def test_a_plain_sheet_leaves_no_blank(draft: Callable[..., draft_source.Written]) -> None:
    written = draft(cells=KNOWN)
    assert written.blanks == {} and written.samples == 12
    source = registry.get(str(written.path))
    assert source.contexts["MCF7"].context == "CVCL:0031"
    assert source.datasets["screen"].is_redistributable is False
    rules = source.samples
    assert [rules.sample.columns, rules.plate.columns, rules.compound.columns] == [("Sample",), ("Plate",), ("Drug",)]
    assert (rules.dose.unit, rules.time.unit, rules.vehicle) == ("uM", "h", "`Drug` == 'DMSO'")


def test_a_blank_is_refused_by_its_line_and_what_belongs_there(draft: Callable[..., draft_source.Written]) -> None:
    written = draft(sheet().drop(columns="Hours"), technology=None)
    line, wanted = next(iter(written.blanks.items()))
    with pytest.raises(SourceError, match=rf"a blank in line {line}, and 2 more: .*FILL_IN: {wanted}"):
        registry.get(str(written.path))


def test_a_name_of_several_lines_stays_in_one_line_of_the_declaration(
    draft: Callable[..., draft_source.Written],
) -> None:
    written = draft(sheet(**{"Cell line": "mine\n(of the lab)"}))
    (wanted,) = written.blanks.values()
    assert wanted.startswith("its Cellosaurus") and "'screen:mine (of the lab)'" in wanted
    with pytest.raises(SourceError, match="has a blank in line"):
        registry.get(str(written.path))


def test_a_blank_the_user_made_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from pbdb.source import FILL_IN\nSOURCE = FILL_IN\n")
    with pytest.raises(SourceError, match="a blank in line 2: write there instead of FILL_IN: a value"):
        registry.get(str(tmp_path / "mine.py"))


def test_a_well_without_counts_is_flagged(draft: Callable[..., draft_source.Written]) -> None:
    assert "n_counts" not in draft(cells=KNOWN).found.get("flags", "")
    written = draft(values=counts().assign(s3=0), cells=KNOWN, force=True)
    assert written.found["flags"] == 'Flag("no_counts", "n_counts == 0")'


def test_structures_in_the_sheet_become_a_compound_table(draft: Callable[..., draft_source.Written]) -> None:
    written = draft(sheet(SMILES=["CS(C)=O", "CCO"] * 6, MoA=[None, "solvent"] * 6), cells=KNOWN)
    source = registry.get(str(written.path))
    declared = source.compounds
    assert declared is not None and (declared.smiles, declared.annotations) == ("SMILES", {"MoA": "moa"})
    made = readers.compounds_of(sheet(SMILES=["CS(C)=O", "CCO"] * 6), "Drug", ["SMILES"])
    assert made.to_dict("list") == {"Drug": ["DMSO", "torin 1"], "SMILES": ["CS(C)=O", "CCO"]}


def test_a_compound_with_two_structures_is_refused() -> None:
    with pytest.raises(DataError, match="The compound 'DMSO' has several values of 'SMILES'"):
        readers.compounds_of(sheet(SMILES=["C"] * 6 + ["CC"] * 6), "Drug", ["SMILES"])


def test_a_sample_with_two_rows_is_refused(draft: Callable[..., draft_source.Written]) -> None:
    profiles = readers.counts
    draft()
    table = pd.concat([sheet(), sheet().iloc[:1]])
    with pytest.raises(DataError, match="The sample 's0' has several rows"):
        readers.paired(profiles(Path(draft(force=True).path.parent / "counts.tsv")), table, "Sample")


def test_a_sheet_of_another_matrix_is_refused(draft: Callable[..., draft_source.Written]) -> None:
    with pytest.raises(DataError, match=r"No column of 'sheet\.csv' holds sample names of 'counts\.tsv', such as 's0'"):
        draft(sheet(Sample=[f"x{at}" for at in range(12)]))


def test_a_file_that_is_there_stays_unless_forced(draft: Callable[..., draft_source.Written]) -> None:
    written = draft()
    written.path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already: choose another name, or replace it with --force"):
        draft()
    assert written.path.read_text() == "mine"
    assert draft(force=True).path.read_text() != "mine"


@pytest.mark.parametrize(("name", "why"), [("drugseq", "pbdb brings along"), ("My-Screen", "lower case")])
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        draft_source.write(tmp_path / f"{name}.py", tmp_path / "counts.tsv", tmp_path / "sheet.csv")


def test_an_h5ad_brings_its_sheet(tmp_path: Path) -> None:
    obs = sheet().set_index("Sample")
    values = counts()
    anndata.AnnData(values.to_numpy().T.astype(np.float32), obs, pd.DataFrame(index=values.index)).write_h5ad(
        tmp_path / "plate.h5ad"
    )
    written = draft_source.write(tmp_path / "screen.py", tmp_path / "plate.h5ad", technology="x", cells=KNOWN)
    assert written.found["sample"] == 'col("obs_name")'
    source = registry.get(str(written.path))
    files = source.files
    (block,) = source.blocks({key: one.read(tmp_path / one.name) for key, one in files.items()}, "screen")  # type: ignore[arg-type]
    assert block.matrix.shape == (12, 40)


def test_the_command_prints_json_and_one_sentence_on_a_mistake(
    draft: Callable[..., draft_source.Written], database: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in environment(database).items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)
    draft()
    words = ["etl", "new", "other", "--matrix", "counts.tsv", "--samples", "sheet.csv", "--json"]
    result = CliRunner().invoke(pbdb, words)
    found = json.loads(result.stdout)
    assert found["found"]["compound"] == 'col("Drug")'
    assert [key for key in found["blanks"].values() if "Cellosaurus" in key]
    again = CliRunner().invoke(pbdb, words)
    assert isinstance(again.exception, ConfigError)


def test_without_a_database_names_of_cells_are_blanks(
    draft: Callable[..., draft_source.Written], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    draft()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PBDB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PBDB_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    words = ["etl", "new", "other", "--matrix", "counts.tsv", "--samples", "sheet.csv"]
    result = CliRunner().invoke(pbdb, words)
    assert result.exit_code == 0
    assert "Names of cells were not looked up:" in result.stderr
    assert "its Cellosaurus or Cell Ontology id" in result.stderr


def test_show_says_where_the_files_lie(draft: Callable[..., draft_source.Written], tmp_path: Path) -> None:
    shown = CliRunner().invoke(pbdb, ["etl", "show", str(draft(cells=KNOWN).path)]).stdout
    assert f"the files lie in {tmp_path}" in shown
    assert "pbdb etl load ./screen.py" in shown
