"""PubChem: the REST client against a local service, its cache, and the bulk files."""

from __future__ import annotations

import gzip
import importlib.util
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pbdb.common.errors import DataError, SourceError, VocabularyError
from pbdb.identity.compounds import pubchem_bulk
from pbdb.identity.compounds.pubchem_bulk import Dump, import_dump, read_cid_inchikey, read_cid_smiles
from pbdb.identity.compounds.pubchem_rest import Client, Entry, FirstOf

WATER = "XLYOFNOQVPJJNP-UHFFFAOYSA-N"
ASPIRIN = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
UNKNOWN = "AAAAAAAAAAAAAA-UHFFFAOYSA-N"


@pytest.fixture(scope="module")
def pug() -> ModuleType:
    """The local stand-in for the service."""
    spec = importlib.util.spec_from_file_location("pbdb_test_pug", Path(__file__).with_name("pug.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def service(pug: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pug.running() as running:
        yield running


class Clock:
    """Time that passes only in pauses, which it records."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def client(service: Any, folder: Path, clock: Clock, **settings: Any) -> Client:
    return Client(folder, base_url=service.url, pause=clock.pause, clock=clock, **settings)


def test_cids_give_structures_and_titles_in_one_request(service: Any, tmp_path: Path, clock: Clock) -> None:
    found = client(service, tmp_path, clock).entries([2244, 679])
    assert found[2244] == Entry(2244, ASPIRIN, "CC(=O)OC1=CC=CC=C1C(=O)O", "Aspirin")
    assert found[679] and found[679].title == "Dimethyl Sulfoxide"
    assert [fields for _, fields in service.requests] == [{"cid": "2244,679"}]


def test_long_lists_go_in_batches_at_the_allowed_pace(service: Any, tmp_path: Path, clock: Clock) -> None:
    found = client(service, tmp_path, clock).entries([2244, *range(100_000, 100_199), 962])
    sizes = [fields["cid"].count(",") + 1 for _, fields in service.requests]
    assert max(sizes) == 100
    assert sum(entry is not None for entry in found.values()) == 2
    assert clock.pauses == [0.2] * (len(sizes) - 1)


def test_all_cids_of_an_inchikey_are_found(service: Any, tmp_path: Path, clock: Clock) -> None:
    found = client(service, tmp_path, clock).cids_of_inchikeys([WATER, ASPIRIN, UNKNOWN])
    assert found == {WATER: (962, 22247451), ASPIRIN: (2244,), UNKNOWN: ()}


def test_a_name_gives_all_its_hits_in_pubchems_order(service: Any, tmp_path: Path, clock: Clock) -> None:
    found = client(service, tmp_path, clock).cids_of_names(["SAHA", "metformin", "149647-78-9", "no such drug"])
    assert found == {"SAHA": (5311,), "metformin": (14219, 4091), "149647-78-9": (5311,), "no such drug": ()}


def test_names_with_signs_arrive_unharmed(service: Any, tmp_path: Path, clock: Clock) -> None:
    name = "γ-Oryzanol & 50% (+)-α/β; #1?"
    client(service, tmp_path, clock).cids_of_names([name])
    assert service.requests[0][1] == {"name": name}


def test_nothing_is_asked_twice(service: Any, tmp_path: Path, clock: Clock) -> None:
    first = client(service, tmp_path, clock)
    answers = (first.entries([2244, 1]), first.cids_of_names(["saha", "nobody"]), first.cids_of_inchikeys([WATER]))
    asked = len(service.requests)
    again = client(service, tmp_path, clock)
    assert (
        again.entries([2244, 1]),
        again.cids_of_names(["saha", "nobody"]),
        again.cids_of_inchikeys([WATER]),
    ) == answers
    assert again.entries([962])[962] is not None
    assert len(service.requests) == asked


def test_offline_answers_from_the_cache_alone(service: Any, tmp_path: Path, clock: Clock) -> None:
    client(service, tmp_path, clock).cids_of_names(["saha", "nobody"])
    asked = len(service.requests)
    offline = client(service, tmp_path, clock, offline=True)
    assert offline.cids_of_names(["saha", "nobody", "dmso"]) == {"saha": (5311,), "nobody": ()}
    assert offline.entries([2244]) == {}
    assert len(service.requests) == asked


def test_the_cache_keeps_the_day_and_old_misses_are_asked_again(service: Any, tmp_path: Path, clock: Clock) -> None:
    client(service, tmp_path, clock).cids_of_names(["saha", "nobody"])
    with closing(sqlite3.connect(tmp_path / "pug_rest.sqlite")) as db, db:
        assert db.execute("SELECT count(*) FROM answer WHERE answered_on >= '2024-01-01'").fetchone() == (2,)
        db.execute("UPDATE answer SET answered_on = '2020-01-01'")
    client(service, tmp_path, clock).cids_of_names(["saha", "nobody"])
    assert [fields["name"] for _, fields in service.requests] == ["saha", "nobody", "nobody"]


@pytest.mark.parametrize("trouble", ["busy", "slow", "cut"])
def test_a_passing_failure_is_tried_again(service: Any, tmp_path: Path, clock: Clock, trouble: str) -> None:
    service.troubles = [trouble, trouble]
    assert client(service, tmp_path, clock, timeout_s=0.2).cids_of_names(["saha"]) == {"saha": (5311,)}
    assert len(service.requests) == 3
    assert {1.0, 2.0} <= set(clock.pauses)


def test_a_lasting_failure_is_one_sentence_and_nothing_is_cached(service: Any, tmp_path: Path, clock: Clock) -> None:
    service.troubles = ["busy"] * 3
    asking = client(service, tmp_path, clock, attempts=3)
    with pytest.raises(VocabularyError, match=r"after 3 attempts \(503 PUGREST.ServerBusy: Too many requests"):
        asking.cids_of_names(["saha"])
    assert asking.cids_of_names(["saha"]) == {"saha": (5311,)}


def test_what_was_answered_before_a_failure_is_kept(service: Any, tmp_path: Path, clock: Clock) -> None:
    service.troubles = ["", "busy"]
    with pytest.raises(VocabularyError, match="work offline"):
        client(service, tmp_path, clock, attempts=1).cids_of_names(["saha", "dmso"])
    assert client(service, tmp_path, clock, offline=True).cids_of_names(["saha", "dmso"]) == {"saha": (5311,)}


def test_a_refused_request_is_not_tried_again(service: Any, tmp_path: Path, clock: Clock) -> None:
    service.troubles = ["bad"]
    with pytest.raises(VocabularyError, match=r"refuses a request .*400 PUGREST\.BadRequest"):
        client(service, tmp_path, clock).cids_of_names(["saha"])
    assert len(service.requests) == 1


def test_a_wrong_address_is_not_taken_for_an_unknown_compound(
    pug: ModuleType, service: Any, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pug._Handler, "_fault", lambda self, status, code, message: self._send(status, b"<html>"))
    with pytest.raises(VocabularyError, match="HTTP 404"):
        client(service, tmp_path, clock).entries([1])


def test_a_service_that_is_not_there_is_reported(tmp_path: Path, clock: Clock) -> None:
    away = Client(tmp_path, base_url="http://127.0.0.1:9", attempts=2, pause=clock.pause, clock=clock)
    with pytest.raises(VocabularyError, match="does not answer"):
        away.entries([2244])


@pytest.mark.parametrize(("colour", "wait"), [("Yellow", 0.4), ("Red", 2.0), ("Black", 60.0)])
def test_a_throttled_client_slows_down(service: Any, tmp_path: Path, clock: Clock, colour: str, wait: float) -> None:
    service.throttle = f"Request Count status: Green (0%), Request Time status: {colour} (80%)"
    client(service, tmp_path, clock).cids_of_names(["saha", "dmso"])
    assert clock.pauses == [wait]


def test_first_of_asks_the_next_for_what_is_missing_only(service: Any, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "CID-SMILES").write_text("2244\tCC(=O)Oc1ccccc1C(=O)O\n")
    import_dump(tmp_path / "CID-SMILES", tmp_path / "vocab")
    both = FirstOf(Dump(tmp_path / "vocab"), client(service, tmp_path, clock))
    assert both.entries([2244]) == {2244: Entry(2244, None, "CC(=O)Oc1ccccc1C(=O)O")}
    assert both.cids_of_names(["saha"]) == {"saha": (5311,)}
    assert both.cids_of_inchikeys([ASPIRIN]) == {ASPIRIN: (2244,)}
    assert len(service.requests) == 2


KEYS = (
    f"962\tInChI=1S/H2O/h1H2\t{WATER}\n"
    f"22247451\tInChI=1S/H2O/h1H2\t{WATER}\n"
    f"2244\tInChI=1S/C9H8O4/c1-6(10)13-8-5-3-2-4-7(8)9(11)12/h2-5H,1H3,(H,11,12)\t{ASPIRIN}\n"
)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "CID-InChI-Key.gz"
    path.write_bytes(gzip.compress(KEYS.encode()))
    return path


def test_bulk_files_are_read_in_batches(keys_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "CID-SMILES").write_text("1\tCCO\n2\tC[N+](C)(C)C\n")
    assert [b.to_pydict() for b in read_cid_smiles(tmp_path / "CID-SMILES")] == [
        {"cid": [1, 2], "smiles": ["CCO", "C[N+](C)(C)C"]}
    ]
    monkeypatch.setattr(pubchem_bulk, "_BLOCK_BYTES", 100)
    batches = list(read_cid_inchikey(keys_file))
    assert len(batches) > 1
    assert [cid for batch in batches for cid in batch["cid"].to_pylist()] == [962, 22247451, 2244]


@pytest.mark.parametrize("block", [200, 1 << 20])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("3\tInChI=1S/CH4/h1H4", "2 columns where 3 are expected"),
        (f"x\tInChI=1S/CH4/h1H4\t{WATER}", "the CID is not a whole number"),
        (f"3\tCCO\t{WATER}", "the second column is not an InChI"),
        ("3\tInChI=1S/CH4/h1H4\tWATER", "the third column is not an InChIKey"),
        ("", "the CID is not a whole number"),
    ],
)
def test_a_malformed_line_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, words: str, block: int
) -> None:
    monkeypatch.setattr(pubchem_bulk, "_BLOCK_BYTES", block)
    path = tmp_path / "CID-InChI-Key"
    path.write_text(KEYS * 3 + line + "\n" + KEYS)
    with pytest.raises(DataError, match=f"line 10: {words}"):
        list(read_cid_inchikey(path))


def test_a_file_cut_short_is_refused(keys_file: Path) -> None:
    keys_file.write_bytes(keys_file.read_bytes()[:-12])
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_cid_inchikey(keys_file))


def test_imported_files_answer_like_the_service(keys_file: Path, tmp_path: Path) -> None:
    assert import_dump(keys_file, tmp_path / "vocab") == 3
    dump = Dump(tmp_path / "vocab")
    found = dump.entries([2244, 5])
    assert found[5] is None
    assert found[2244] and found[2244].inchikey == ASPIRIN and str(found[2244].structure).startswith("InChI=1S/C9H8O4")
    assert dump.cids_of_inchikeys([WATER, UNKNOWN]) == {WATER: (962, 22247451), UNKNOWN: ()}
    assert dump.cids_of_names(["water"]) == {}


def test_both_files_together_prefer_the_smiles(keys_file: Path, tmp_path: Path) -> None:
    (tmp_path / "CID-SMILES").write_text("2244\tCC(=O)Oc1ccccc1C(=O)O\n")
    for path in (keys_file, tmp_path / "CID-SMILES"):
        import_dump(path, tmp_path / "vocab")
    assert Dump(tmp_path / "vocab").entries([2244]) == {2244: Entry(2244, ASPIRIN, "CC(=O)Oc1ccccc1C(=O)O")}


def test_a_failed_import_leaves_the_old_one(keys_file: Path, tmp_path: Path) -> None:
    import_dump(keys_file, tmp_path / "vocab")
    (tmp_path / "broken").write_text(KEYS + "x\ty\tz\n")
    with pytest.raises(DataError, match="line 4"):
        import_dump(tmp_path / "broken", tmp_path / "vocab")
    assert Dump(tmp_path / "vocab").cids_of_inchikeys([ASPIRIN]) == {ASPIRIN: (2244,)}
    assert [path.name for path in (tmp_path / "vocab").iterdir()] == [pubchem_bulk.INCHIKEYS]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("a,b\n")
    with pytest.raises(SourceError, match="its first line has 1 columns"):
        import_dump(tmp_path / "other", tmp_path / "vocab")
    with pytest.raises(SourceError, match="cannot be read"):
        import_dump(tmp_path / "missing", tmp_path / "vocab")


@pytest.mark.parametrize("end", [15, 30])
def test_a_file_cut_short_or_damaged_in_its_first_line_is_refused(keys_file: Path, tmp_path: Path, end: int) -> None:
    keys_file.write_bytes(keys_file.read_bytes()[:end] + b"\xff" * (end == 30) * 50)
    with pytest.raises(SourceError, match="cannot be read"):
        import_dump(keys_file, tmp_path / "vocab")


def test_a_look_up_without_files_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="pbdb vocab import pubchem FILE"):
        Dump(tmp_path)
