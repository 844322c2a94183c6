"""Bad input: one clear sentence, exit code 1, and the database and the previous load as they were."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import made
import pytest
from databases import new_database
from loads import contents, copy_of, environment, load, query, value
from sqlalchemy import make_url

from pbdb.common.errors import PbdbError, ServerError, VocabularyError
from pbdb.common.settings import Settings
from pbdb.server import connect

SHEET, COUNTS = "DGE1-meta.csv", "DGE1-counts.csv.gz"
Damage = Callable[[Path], object]


def edited(name: str, pattern: str, new: str, count: int = 1) -> Damage:
    """Replace what a pattern finds in a file (plain or gzip); it must find something."""

    def damage(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
        changed, n = re.subn(pattern, new, text, count=count, flags=re.MULTILINE)
        assert n
        (folder / name).write_bytes(gzip.compress(changed.encode()) if name.endswith(".gz") else changed.encode())

    return damage


def cut(name: str) -> Damage:
    """Cut a file in half."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:10_000])


def without_wells(folder: Path) -> None:
    for plate in ("DGE1", "DGE2"):
        edited(f"{plate}-meta.csv", "Drug control|DMSO", "unlabelled", 0)(folder)


DRIAD: dict[str, tuple[Damage, str]] = {
    "missing file": (lambda folder: (folder / SHEET).unlink(), f"only part of the set DGE1: '{SHEET}' is missing"),
    "truncated gzip": (cut(COUNTS), f"'{COUNTS}' in .* is damaged or incomplete"),
    "no gzip": (edited(COUNTS, "HUGO", "\0\0"), f"'{COUNTS}' in .* is damaged or incomplete"),
    "renamed column": (edited(SHEET, "Drug", "Compound"), f"'{SHEET}' lacks the column 'Drug' and has the unknown"),
    "missing column": (edited(SHEET, ",[^,\n]*$", "", 0), f"'{SHEET}' lacks the column 'Concentration'"),
    "extra column": (edited(SHEET, "(.)$", r"\1,1", 0), f"'{SHEET}' has the unknown column '1'"),
    "renamed gene column": (edited(COUNTS, "HUGO", "Gene"), f"'{COUNTS}' starts with the column 'Gene', not 'HUGO'"),
    "well without counts": (edited(COUNTS, "A05", "P24"), f"'A05' stands in '{SHEET}' but not in '{COUNTS}'"),
    "well without annotation": (edited(SHEET, "^A05.*\n", ""), f"'A05' stands in '{COUNTS}' but not in '{SHEET}'"),
    "duplicated well": (edited(SHEET, "^(A05.*\n)", r"\1\1"), f"'A05' stands twice in '{SHEET}'"),
    "duplicated column": (edited(COUNTS, "A05", "A06"), f"'{COUNTS}' has the column 'A06' more than once"),
    "negative count": (edited(COUNTS, r"^(HMOX1,)\d+", r"\1-1"), "holds '-1' for gene HMOX1 in sample A01"),
    "fractional count": (edited(COUNTS, r"^(HMOX1,)\d+", r"\g<1>0.5"), "holds '0.5' for gene HMOX1 in sample A01"),
    "no dose": (edited(SHEET, r",10$", ",ten"), "column 'Concentration': 'ten' is not a dose"),
    "no drug": (edited(SHEET, "^(A20,)[^,]*", r"\1"), "compound: must not be empty where no flag says why, 1 rows"),
    "no vehicle": (without_wells, "is_vehicle: needs at least one vehicle sample"),
}


@pytest.fixture(scope="module")
def standing(
    database_server: Settings, with_driad: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, dict[str, str]]]:
    """A database with two loaded datasets, which every test must leave as it is, and what it holds."""
    place = tmp_path_factory.mktemp("standing")
    with new_database(database_server, place / "home", with_driad) as settings:
        made.load(settings, made.write(place / "release"))
        yield settings, contents(settings, versions=True)


def refused(standing: tuple[Settings, dict[str, str]], message: str, attempt: Callable[[Settings], object]) -> str:
    """Attempt what must be refused in one sentence that changes nothing but the ledger."""
    settings, before = standing
    with pytest.raises(PbdbError, match=message) as caught:
        attempt(settings)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert contents(settings, versions=True) == before
    return sentence


@pytest.mark.parametrize("case", DRIAD)
def test_damaged_release_is_refused_and_recorded(
    standing: tuple[Settings, dict[str, str]], release: Path, tmp_path: Path, case: str
) -> None:
    damage, message = DRIAD[case]
    folder = copy_of(release, tmp_path / "release")
    damage(folder)
    sentence = refused(standing, message, lambda settings: load(settings, folder))
    ((status, said),) = query(standing[0], "SELECT status, message FROM core.etl_run ORDER BY etl_run_id DESC LIMIT 1")
    assert status == "failed"
    assert said == sentence


def test_a_wrong_checksum_is_refused(standing: tuple[Settings, dict[str, str]], release: Path, tmp_path: Path) -> None:
    sums = (release / "SHA256SUMS").read_text()
    folder = copy_of(release, tmp_path / "release")
    (folder / "SHA256SUMS").write_text(sums)
    edited(SHEET, "bortezomib", "bortezomab")(folder)
    refused(standing, f"'{SHEET}' in .* but SHA256SUMS says", lambda settings: load(settings, folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "mg"}, "column 'dose': 'mg' is not a molar unit; known are M, mM"),
        ({"sample": [f"s{at // 2}" for at in range(24)]}, "'s0' stands twice in 'sheet.csv'"),
        ({"cells": "HeLa"}, "the cells 'HeLa' are not declared"),
        ({"drug": "x", "dose": "1", "unit": "uM"}, "needs at least one vehicle"),
        ({"hours": ""}, "time_h: must not be empty for a condition, 24 rows"),
        ({"plate": ""}, "plate: must not be empty"),
    ],
)
def test_a_sheet_that_makes_no_sense_is_refused(
    standing: tuple[Settings, dict[str, str]], tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    table = made.sheet(**changes)
    folder = made.write(tmp_path / "release", table, made.counts(sorted(set(table["sample"]))))
    refused(standing, message, lambda settings: made.load(settings, folder))


def test_a_dry_run_that_fails_leaves_no_trace_at_all(standing: tuple[Settings, dict[str, str]], tmp_path: Path) -> None:
    entries = "SELECT count(*) FROM core.etl_run"
    before = value(standing[0], entries)
    folder = made.write(tmp_path / "release", made.sheet(plate=""))
    refused(standing, "plate: must not be empty", lambda settings: made.load(settings, folder, dry_run=True))
    assert value(standing[0], entries) == before


def test_symbols_without_a_vocabulary_say_what_to_run(database: Settings, release: Path) -> None:
    with pytest.raises(VocabularyError, match=r"symbol.* `pbdb vocab import genes .*/genes.tsv --release simulated"):
        load(database, release)


def as_login(settings: Settings, statement: str, login: str) -> Settings:
    """Settings of another login, made by a statement where it is missing."""
    exists = value(settings, "SELECT count(*) FROM pg_roles WHERE rolname = :login", login=login)
    if not exists:
        with connect.connect(settings, autocommit=True) as connection:
            connection.execute(statement)
    url = make_url(str(settings.database_url)).update_query_dict({"user": login})
    return replace(settings, database_url=url.render_as_string(hide_password=False))


def test_a_login_that_may_only_read_is_refused_before_any_work(
    standing: tuple[Settings, dict[str, str]], release: Path
) -> None:
    reader = as_login(standing[0], "CREATE ROLE load_reader LOGIN IN ROLE pbdb_reader", "load_reader")
    message = "Role 'load_reader' may read but not load data: log in as a member of pbdb_owner"
    refused(standing, message, lambda _: load(reader, release, force=True))


def test_a_session_that_is_read_only_is_refused(standing: tuple[Settings, dict[str, str]], release: Path) -> None:
    made_so = """CREATE ROLE load_standby LOGIN IN ROLE pbdb_owner;
        ALTER ROLE load_standby SET default_transaction_read_only = on"""
    standby = as_login(standing[0], made_so, "load_standby")
    refused(standing, "takes no changes", lambda _: load(standby, release, force=True))


def test_a_member_of_the_owner_may_load(loaded: Settings, release: Path) -> None:
    member = as_login(loaded, "CREATE ROLE load_member LOGIN IN ROLE pbdb_owner", "load_member")
    assert load(member, release, force=True)["changed"]


def pbdb(settings: Settings, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pbdb.cli", *map(str, words)]
    return subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "damage", "message"),
    [
        (["driad", "--from", "{folder}"], cut(COUNTS), f"Error: The file '{COUNTS}' in '.*' is damaged"),
        (["driat", "--from", "{folder}"], without_wells, "Error: There is no source 'driat': did you mean 'driad'"),
    ],
)
def test_the_command_line_says_one_sentence_and_ends_with_1(
    standing: tuple[Settings, dict[str, str]],
    release: Path,
    tmp_path: Path,
    words: list[str],
    damage: Damage,
    message: str,
) -> None:
    folder = copy_of(release, tmp_path / "release")
    damage(folder)
    ended = pbdb(standing[0], "etl", "load", *(word.format(folder=folder) for word in words))
    assert ended.returncode == 1
    assert ended.stdout == ""
    said = ended.stderr.splitlines()[-1]
    assert re.match(message, said), ended.stderr
    assert "Traceback" not in ended.stderr
    assert contents(standing[0], versions=True) == standing[1]


def test_a_server_that_is_gone_during_a_load_is_one_sentence(
    loaded: Settings, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pbdb.database import partitions

    def ended(connection: object, *rest: object) -> None:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()  # type: ignore[attr-defined]
        query(loaded, "SELECT pg_terminate_backend(:pid, 5000)", pid=pid)
        connection.exec_driver_sql("SELECT 1")  # type: ignore[attr-defined]

    before = contents(loaded, versions=True)
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "make_current", ended)
        with pytest.raises(ServerError, match=r"Stage publish of dataset 'driad' lost the server .* stands\."):
            load(loaded, release, force=True)
    assert contents(loaded, versions=True) == before
    assert load(loaded, release)["changed"] is False
