"""Fetching vocabularies: from a provider on loopback, verified, imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loads import query, value
from vocabulary_tables import CELLOSAURUS, gene_table, panel
from web import Provider, provider

from pbdb.common.errors import SourceError, VocabularyError
from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import fetch as vocabulary_fetch
from pbdb.identity.vocabulary import releases

DUMPS = {
    "gene.txt.gz": "1\tlncRNA\t8\t4\t1\t9\t1\t8\thavana\tfour\t1\t1\tENSG00000000004\t1\t2005\t2020\n",
    "xref.txt.gz": "8\t100\tHGNC:4\tFOUR\t0\t\\N\tINDIRECT\t\\N\n",
    "seq_region.txt.gz": "4\t22\t1\t50818468\n",
    "external_synonym.txt.gz": "8\tVIER\n",
    "stable_id_event.txt.gz": "ENSG00000000009\t1\tENSG00000000004\t1\t1\tgene\t1\n",
    "gene_archive.txt.gz": "ENSG00000000007\t1\tENST00000000001\t1\t\\N\t1\t\\N\t385\n",
}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with provider() as running:
        yield running


def test_the_tables_of_a_release_are_fetched_and_imported(database: Settings, web: Provider) -> None:
    web.contents = {name: content.encode() for name, content in DUMPS.items()}
    outcome = vocabulary_fetch.fetch(database, "genes", "99", web.url)
    assert (outcome.release.name, outcome.release.is_current) == ("Ensembl 99", True)
    assert outcome.labelled["genes"] == 1
    assert query(database, "SELECT gene_id, symbol, chromosome FROM core.gene") == [("ENSG00000000004", "FOUR", "22")]
    assert query(database, "SELECT retired_id, reason FROM core.gene_replacement ORDER BY 1") == [
        ("ENSG00000000007", "dropped_none"),
        ("ENSG00000000009", "replaced"),
    ]


def test_a_fetch_that_breaks_off_says_so_and_can_be_run_again(database: Settings, web: Provider) -> None:
    web.contents = {"cellosaurus.txt": CELLOSAURUS.encode()}
    web.breaks_at = 100
    with pytest.raises(
        SourceError, match=r"run the command again to go on, or get the file yourself and run `pbdb voc"
    ):
        vocabulary_fetch.fetch(database, "cellosaurus", mirror=web.url)
    web.breaks_at = None
    outcome = vocabulary_fetch.fetch(database, "cellosaurus", mirror=web.url)
    assert outcome.release.name == "Cellosaurus 99.0"


def test_what_was_fetched_is_not_fetched_again_and_a_change_is_noticed(database: Settings, web: Provider) -> None:
    web.contents = {"cellosaurus.txt": CELLOSAURUS.encode()}
    vocabulary_fetch.fetch(database, "cellosaurus", mirror=web.url)
    sent = len(web.sent)
    vocabulary_fetch.fetch(database, "cellosaurus", mirror=web.url)
    assert len(web.sent) == sent
    (path,) = (database.downloads / "vocab").rglob("cellosaurus.txt")
    path.write_text(CELLOSAURUS.replace("Lung", "Liver"), encoding="utf-8")
    with pytest.raises(SourceError, match="the record of its first download"):
        vocabulary_fetch.fetch(database, "cellosaurus", mirror=web.url)


def test_a_file_that_is_not_the_pinned_one_is_refused(database: Settings, web: Provider, tmp_path: Path) -> None:
    web.contents = {"GSE92742_Broad_LINCS_gene_info.txt.gz": panel(tmp_path, [1]).read_bytes()}
    with pytest.raises(SourceError, match="SHA-256"):
        vocabulary_fetch.fetch(database, "landmarks", mirror=web.url)
    assert value(database, "SELECT count(*) FROM core.vocabulary") == 0


def test_a_release_nobody_has_and_a_kind_nobody_provides_are_refused(database: Settings, web: Provider) -> None:
    with pytest.raises(SourceError, match="could not be fetched"):
        vocabulary_fetch.fetch(database, "hgnc", "1999-01-01", web.url)
    with pytest.raises(VocabularyError, match="moabox cannot be fetched"):
        vocabulary_fetch.fetch(database, "moabox")


def test_an_addition_is_fetched_for_the_genes_in_use(database: Settings, web: Provider, tmp_path: Path) -> None:
    releases.import_files(database, "genes", gene_table(tmp_path, "one.tsv"), "one")
    head = "hgnc_id\tsymbol\tname\tensembl_gene_id\tentrez_id\tprev_symbol\talias_symbol"
    row = "HGNC:5\tSYM3\tthird gene\tENSG00000900003\t4\tOLD3\tTHREE"
    web.contents = {"hgnc_complete_set_2020-01-01.txt": f"{head}\n{row}\n".encode()}
    outcome = vocabulary_fetch.fetch(database, "hgnc", "2020-01-01", web.url)
    assert outcome.release.name == "HGNC 2020-01-01"
    assert query(database, "SELECT synonym, kind FROM core.gene_synonym ORDER BY 1") == [
        ("OLD3", "official"),
        ("THREE", "alias"),
    ]
