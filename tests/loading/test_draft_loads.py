"""Declarations that `pbdb etl new` wrote, loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from loads import query, value
from screen_files import GENES, KNOWN, counts, sheet

from pbdb import readers
from pbdb.common.errors import DataError, SourceError
from pbdb.common.settings import Settings
from pbdb.loading import draft_source, pipeline
from pbdb.sources import registry


def test_what_was_written_loads_from_where_it_lies(
    draft: Callable[..., draft_source.Written], database: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = pd.concat([sheet(), sheet().iloc[:1].assign(Sample="s99")])
    written = draft(table, counts().assign(odd=1), cells=KNOWN)
    assert (written.no_matrix_column, written.no_sheet_row) == (1, 1)
    monkeypatch.chdir(tmp_path.parent)
    (outcome,) = pipeline.load_source(registry.get(str(written.path)), database, pipeline.Choices())
    assert outcome.effects == {"ok": 1}
    dropped = value(database, "SELECT dropped FROM core.etl_run WHERE stage = 'transform'")
    assert dropped == {"profile no_matrix_column": 1, "profile no_sheet_row": 1}


def test_own_screens_match_each_other(
    draft: Callable[..., draft_source.Written], database: Settings, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        written = draft(sheet(SMILES=["CS(C)=O", "CCO"] * 6), cells=KNOWN)
        place = written.path.rename(tmp_path / f"{name}.py")
        place.write_text(place.read_text().replace('"screen"', f'"{name}"'))
        pipeline.load_source(registry.get(str(place)), database, pipeline.Choices())
    matched = "SELECT dataset_a, dataset_b, dose_fold FROM pbdb.matched_condition"
    assert query(database, matched) == [("first", "second", 1.0)]


def test_a_folder_given_wins_over_the_declared_one(
    draft: Callable[..., draft_source.Written], database: Settings, tmp_path: Path
) -> None:
    source = replace(registry.get(str(draft(cells=KNOWN).path)), folder=tmp_path / "nowhere")
    with pytest.raises(SourceError, match="nowhere"):
        pipeline.load_source(source, database, pipeline.Choices(until="extract"))
    pipeline.load_source(source, database, pipeline.Choices(folder=tmp_path, until="extract"))


def test_names_written_in_two_ways_are_one_compound_of_a_load_and_few_known_genes_stop_it(
    draft: Callable[..., draft_source.Written], database: Settings
) -> None:
    drugs = ["DMSO", "Torin 1", "DMSO", "torin 1 "] * 3
    written = draft(sheet(Drug=drugs), cells=KNOWN)
    assert any("'torin 1' as 'Torin 1'" in note for note in written.notes)
    source = registry.get(str(written.path))
    (outcome,) = pipeline.load_source(source, database, pipeline.Choices())
    assert outcome.effects == {"ok": 1}
    assert query(database, "SELECT DISTINCT source_compound_name FROM pbdb.effect") == [("Torin 1",)]
    assert value(database, "SELECT count(*) FROM core.sample WHERE attributes ? 'compound_written'") == 3
    odd = counts([*GENES[:10], *(f"G{at}x" for at in range(30))])
    path = draft(sheet(), odd, cells=KNOWN, force=True).path
    path.write_text(path.read_text().replace('Features("symbol")', 'Features("gene_id")'))
    source = registry.get(str(path))
    with pytest.raises(DataError, match=r"30 of 40 features are no gene of the vocabulary .*'G0x'.*--allow-gene-loss"):
        pipeline.load_source(source, database, pipeline.Choices())
    (outcome,) = pipeline.load_source(source, database, pipeline.Choices(allow_gene_loss=True))
    assert outcome.effects == {"ok": 1}


def test_declarations_on_readers_of_csv_make_the_same_of_what_people_type_or_refuse_it(
    draft: Callable[..., draft_source.Written], database: Settings, tmp_path: Path
) -> None:
    drugs = [
        "DMSO",
        "torin 1",
        "DMSO",
        "Torin 1 ",
        "DMSO",
        "torin 1\u00a0",
        "DMSO",
        "torin 1",
        "DMSO",
        "TORIN 1",
        "DMSO",
    ]

    def load(reader: str, last: str) -> object:
        written = draft(sheet(Drug=[*drugs, last], Plate=["P1", "P1 "] * 6), cells=KNOWN, force=True)
        text = written.path.read_text().replace("readers.sheet)", f"readers.{reader})")
        written.path.write_text(text)
        pipeline.load_source(registry.get(str(written.path)), database, pipeline.Choices())
        return query(database, "SELECT compound_name, n_treated, n_vehicle, n_plates, status FROM pbdb.effect")

    assert load("sheet", "torin 1") == load("csv", "torin 1") == [("torin 1", 6, 6, 1, "ok")]
    assert load("sheet", "#N/A") == [("torin 1", 5, 6, 1, "ok")]
    with pytest.raises(DataError, match=r"compound.*must not be empty where no flag says why.*s11"):
        load("csv", "#N/A")
    (tmp_path / "sheet.csv").write_bytes((tmp_path / "sheet.csv").read_bytes() + "s12;µ\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"a file that people made is read by readers\.sheet"):
        readers.csv(tmp_path / "sheet.csv")


def test_a_sample_without_cells_is_named(draft: Callable[..., draft_source.Written], database: Settings) -> None:
    written = draft(sheet(**{"Cell line": ["MCF7"] * 11 + [""]}), cells=KNOWN)
    with pytest.raises(DataError, match=r"sample 's11' has no cells \(1 such\): fill them in"):
        pipeline.load_source(registry.get(str(written.path)), database, pipeline.Choices())
