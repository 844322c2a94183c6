"""Gene releases: one is in use, the others wait; what a change of release does to what is loaded."""

from __future__ import annotations

from pathlib import Path

import made
import pytest
from loads import query, value
from sqlalchemy import text
from vocabulary_tables import N_GENES, ensg, gene_table, panel, retired_table

from pbdb.common.errors import VocabularyError
from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import releases as vocabulary
from pbdb.loading import ledger
from pbdb.server import connect


def genes(settings: Settings, path: Path, release: str | None = None) -> vocabulary.Outcome:
    return vocabulary.import_files(settings, "genes", path, release)


def releases(settings: Settings) -> dict[str, bool]:
    with connect.engine(settings).connect() as connection:
        return {row["release"]: row["is_current"] for row in vocabulary.status(connection) if row["kind"] == "genes"}


def stale(settings: Settings) -> list[bool]:
    return [row[0] for row in query(settings, "SELECT DISTINCT is_stale FROM pbdb.effect")]


def test_the_first_release_is_in_use_and_the_second_waits(database: Settings, tmp_path: Path) -> None:
    assert genes(database, gene_table(tmp_path, "one.tsv"), "one").release.is_current
    waiting = genes(database, gene_table(tmp_path, "two.tsv", prefix="NEW"), "two")
    assert not waiting.release.is_current
    assert releases(database) == {"one": True, "two": False}
    vocabulary.use(database, "genes", "two")
    assert releases(database) == {"one": False, "two": True}
    assert value(database, "SELECT symbol FROM core.gene WHERE gene_id = :id", id=ensg(0)) == "NEW0"


def test_an_import_labels_unchecked_genes_and_leaves_effects_alone(loaded: Settings, tmp_path: Path) -> None:
    arrays = "SELECT md5(string_agg(e::text, '|' ORDER BY effect_id)) FROM core.effect e"
    before = value(loaded, arrays)
    assert query(loaded, "SELECT DISTINCT status FROM core.gene") == [("unchecked",)]
    outcome = genes(loaded, gene_table(tmp_path, "one.tsv"), "one")
    assert outcome.stale == []
    assert query(loaded, "SELECT DISTINCT status, symbol LIKE 'SYM%' FROM core.gene") == [("current", True)]
    assert (value(loaded, arrays), stale(loaded)) == (before, [False])


def test_fits_that_hold_a_dropped_gene_are_stale_until_a_release_has_it_again(loaded: Settings, tmp_path: Path) -> None:
    genes(loaded, gene_table(tmp_path, "whole.tsv"), "whole")
    genes(loaded, gene_table(tmp_path, "short.tsv", without=[7]), "short")
    outcome = vocabulary.use(loaded, "genes", "short")
    assert outcome.stale == [{"dataset": "made", "source": "made", "n_fits": 1, "n_genes": 1}]
    assert stale(loaded) == [True]
    assert vocabulary.use(loaded, "genes", "whole").stale == []
    assert stale(loaded) == [False]


def test_a_merged_gene_makes_fits_stale_and_the_next_load_sums_it(loaded: Settings, tmp_path: Path) -> None:
    genes(loaded, gene_table(tmp_path, "short.tsv", without=[7]), "short")
    outcome = genes(loaded, retired_table(tmp_path, {7: 8}))
    assert [row["n_genes"] for row in outcome.stale] == [1]
    assert made.load(loaded, tmp_path / "release")["changed"]
    assert stale(loaded) == [False]
    tested = "SELECT n_genes_in FROM core.fit"
    assert value(loaded, tested) == N_GENES - 1
    assert query(loaded, "SELECT gene_id FROM core.gene WHERE status = 'retired'") == [(ensg(7),)]


def test_a_load_follows_the_release_in_use(loaded: Settings, tmp_path: Path) -> None:
    genes(loaded, gene_table(tmp_path, "one.tsv"), "one")
    assert made.load(loaded, tmp_path / "release")["changed"]
    assert not made.load(loaded, tmp_path / "release")["changed"]


def test_landmarks_hold_for_every_release_in_use(database: Settings, tmp_path: Path) -> None:
    outcome = vocabulary.import_files(database, "landmarks", panel(tmp_path, [3, 5]))
    assert (outcome.release.kind, outcome.release.name) == ("landmarks", "gene_info")
    found = "SELECT gene_id, landmark_index FROM core.gene WHERE is_landmark ORDER BY landmark_index"
    expected = [(ensg(3), 0), (ensg(5), 1)]
    genes(database, gene_table(tmp_path, "one.tsv"), "one")
    assert query(database, found) == expected
    genes(database, gene_table(tmp_path, "two.tsv", prefix="NEW"), "two")
    vocabulary.use(database, "genes", "two")
    assert query(database, found) == expected


def test_genes_nobody_tests_go_with_their_release(database: Settings, tmp_path: Path) -> None:
    genes(database, gene_table(tmp_path, "one.tsv"), "one")
    genes(database, gene_table(tmp_path, "two.tsv", without=[1]), "two")
    vocabulary.use(database, "genes", "two")
    assert value(database, "SELECT count(*) FROM core.gene") == N_GENES - 1


def test_the_same_file_again_changes_nothing(database: Settings, tmp_path: Path) -> None:
    path = gene_table(tmp_path, "one.tsv")
    genes(database, path, "one")
    digest = "SELECT sha256, n_rows FROM core.vocabulary"
    before = query(database, digest)
    genes(database, path, "one")
    assert query(database, digest) == before


def test_apply_brings_back_labels_that_were_lost(loaded: Settings, tmp_path: Path) -> None:
    genes(loaded, gene_table(tmp_path, "one.tsv"), "one")
    with connect.engine(loaded).begin() as connection:
        connection.exec_driver_sql("UPDATE core.gene SET symbol = 'lost'")
    assert vocabulary.apply(loaded).labelled["genes"] == N_GENES
    assert value(loaded, "SELECT count(*) FROM core.gene WHERE symbol = 'lost'") == 0


@pytest.mark.parametrize(
    ("kind", "release", "says"),
    [
        ("genes", None, "give --release"),
        ("hgnc", "one", "is a table of genes, not of hgnc"),
        ("cellosaurus", "one", "is none of the cell tables"),
        ("beasts", "one", "is no kind of vocabulary"),
    ],
)
def test_what_cannot_be_imported_is_refused(database: Settings, tmp_path: Path, kind, release, says) -> None:
    with pytest.raises(VocabularyError, match=says):
        vocabulary.import_files(database, kind, gene_table(tmp_path, "one.tsv"), release)


def test_a_missing_file_and_an_unknown_release_are_refused(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="There is no file"):
        genes(database, tmp_path / "nowhere.tsv", "one")
    genes(database, gene_table(tmp_path, "one.tsv"), "one")
    with pytest.raises(VocabularyError, match=r"No release 'two' of genes is imported; there are: 'one'\."):
        vocabulary.use(database, "genes", "two")


def test_a_release_whose_tables_are_gone_is_refused(database: Settings, tmp_path: Path) -> None:
    genes(database, gene_table(tmp_path, "one.tsv"), "one")
    elsewhere = Settings(home=tmp_path / "other", database_url=database.database_url)
    with pytest.raises(VocabularyError, match="import its files again"):
        vocabulary.apply(elsewhere)


def test_loads_are_older_by_what_the_vocabularies_hold_and_not_by_time(loaded: Settings, tmp_path: Path) -> None:
    def older() -> list[list[str]]:
        return [row["kinds"] for row in ledger.stale(connect.engine(loaded))]

    assert older() == []
    genes(loaded, gene_table(tmp_path, "one.tsv"), "one")
    assert older() == [["genes"]]
    made.load(loaded, tmp_path / "release")
    assert older() == []
    genes(loaded, gene_table(tmp_path, "one.tsv"), "one")  # the same file again
    genes(loaded, gene_table(tmp_path, "two.tsv", prefix="NEW"), "two")  # waits
    assert older() == []
    vocabulary.use(loaded, "genes", "two")
    assert older() == [["genes"]]
    vocabulary.use(loaded, "genes", "one")
    assert older() == []
    with connect.engine(loaded).begin() as connection:  # as loads of before kept it
        connection.execute(text("UPDATE core.etl_run SET report = '{}' WHERE stage = 'extract'"))
    assert older() == []
    vocabulary.import_files(loaded, "landmarks", panel(tmp_path, [3, 5]))
    assert older() == [["landmarks"]]
