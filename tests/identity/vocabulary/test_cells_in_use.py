"""The vocabulary of cells: what it fills in of loaded contexts, and what it must not touch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made
import pytest
from loads import query
from vocabulary_tables import CELLOSAURUS

from pbdb.common.errors import VocabularyError
from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import releases
from pbdb.sources import registry
from pbdb.sources.declaration import Context, Source

ATTRIBUTES = (
    "SELECT tissue, tissue_id, sex, is_problematic, problem_reason FROM pbdb.context WHERE context = 'CVCL:0001'"
)
TOLD = ("lung", "UBERON:0002048", "female", True, "Contaminated. Shown to be a HeLa derivative.")


@pytest.fixture
def cellosaurus(tmp_path: Path) -> Path:
    path = tmp_path / "cellosaurus.txt"
    path.write_text(CELLOSAURUS, encoding="utf-8")
    return path


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    """The made source, which states a tissue of its own."""
    stated = replace(
        made.SOURCE, contexts={"A": Context("CVCL:0001", "A", tissue="airway"), "B": Context("CVCL:0002", "B")}
    )
    monkeypatch.setattr(registry, "get", lambda key: stated)
    return stated


def test_attributes_of_loaded_contexts_are_filled_in(database: Settings, tmp_path: Path, cellosaurus: Path) -> None:
    made.load(database, made.write(tmp_path / "release"), effects=False)
    assert query(database, ATTRIBUTES) == [(None, None, None, False, None)]
    assert releases.import_files(database, "cellosaurus", cellosaurus).labelled["contexts_labelled"] == 1
    assert query(database, ATTRIBUTES) == [TOLD]


def test_a_load_uses_the_vocabulary(database: Settings, tmp_path: Path, cellosaurus: Path) -> None:
    releases.import_files(database, "cellosaurus", cellosaurus)
    made.load(database, made.write(tmp_path / "release"), effects=False)
    assert query(database, ATTRIBUTES) == [TOLD]


def test_what_the_source_states_wins(database: Settings, tmp_path: Path, cellosaurus: Path, source: Source) -> None:
    made.load(database, made.write(tmp_path / "release"), source, effects=False)
    releases.import_files(database, "cellosaurus", cellosaurus)
    releases.apply(database)
    assert query(database, ATTRIBUTES) == [("airway", None, *TOLD[2:])]


def ontology(folder: Path, term: str) -> Path:
    path = folder / "terms.obo"
    path.write_text(f"format-version: 1.2\n\n[Term]\nid: {term}\nname: a term\n", encoding="utf-8")
    return path


def test_releases_may_be_called_as_one_likes(database: Settings, tmp_path: Path, cellosaurus: Path) -> None:
    releases.import_files(database, "cellosaurus", cellosaurus, "copy 1")
    outcome = releases.import_files(database, "cell_ontology", ontology(tmp_path, "CL:0000001"), "copy 2")
    assert outcome.release.n_rows == 1


def test_a_table_without_cells_is_refused(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"'terms\.obo' names no cell line or cell type"):
        releases.import_files(database, "cell_ontology", ontology(tmp_path, "UBERON:0000001"))
    assert query(database, "SELECT * FROM core.vocabulary") == []


def test_a_table_of_names_is_a_kind_of_its_own(database: Settings, tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("model_name\tRRID\nA549\tCVCL_0023\n", encoding="utf-8")
    assert releases.import_files(database, "cell_names", path).release.name == "names"
