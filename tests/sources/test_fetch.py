"""Files of a release: found, fetched, resumed and verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from web import Provider, provider

from pbdb import readers
from pbdb.common.errors import SourceError
from pbdb.common.settings import Settings
from pbdb.sources import fetch, registry
from pbdb.sources.declaration import File, Source

MANY = 30_000_000  # more than one request


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def web() -> Iterator[Provider]:
    with provider() as served:
        yield served


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", workers=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "release"
    found.mkdir()
    return found


def source(*declared: File) -> Source:
    return replace(registry.get("driad"), key="made", files={file.name: file for file in declared})


def one(web: Provider, content: bytes, **facts: str) -> Source:
    web.contents["a.bin"], web.breaks_at, web.sent = content, None, []
    return source(File("a.bin", readers.csv, url=web.url + "a.bin", **facts))


def test_a_file_is_fetched_once_and_its_hash_recorded_and_checked_from_then_on(web: Provider, place: Settings) -> None:
    made = one(web, b"first")
    (first,) = fetch.locate(made, "driad", place).values()
    (second,) = fetch.locate(made, "driad", place).values()
    assert (first.checked, second.checked, first.sha256) == ("first download", "recorded", digest(b"first"))
    assert len(web.sent) == 1
    first.path.write_bytes(b"other")
    with pytest.raises(SourceError, match=r"the record of its first download .* the next run fetches it again\."):
        fetch.locate(made, "driad", place)


def test_a_declared_hash_is_what_a_download_is_checked_against(web: Provider, place: Settings) -> None:
    (found,) = fetch.locate(one(web, b"x", sha256=digest(b"x")), "driad", place).values()
    assert found.checked == "declaration"


def test_a_download_of_another_hash_than_declared_is_refused(web: Provider, place: Settings) -> None:
    with pytest.raises(SourceError, match=r"'a\.bin' .* but the declaration of the source says"):
        fetch.locate(one(web, b"x", sha256=digest(b"y")), "driad", place)


def test_an_interrupted_download_goes_on_where_it_stopped(web: Provider, place: Settings) -> None:
    content = os.urandom(MANY)
    made = one(web, content)
    web.breaks_at = 20_000_000
    with pytest.raises(SourceError, match=r"could not be fetched .* run the command again to go on"):
        fetch.locate(made, "driad", place)
    (part,) = (place.downloads / "made").glob("a.bin.*.part")
    kept = part.stat().st_size
    assert 0 < kept < 20_000_000
    web.breaks_at, web.sent = None, []
    (found,) = fetch.locate(made, "driad", place).values()
    assert found.sha256 == digest(content)
    assert min(start for _, start in web.sent) == kept
    assert not part.exists()


def test_bytes_of_a_file_that_changed_since_are_thrown_away(web: Provider, place: Settings) -> None:
    made = one(web, os.urandom(MANY))
    web.breaks_at = 20_000_000
    with pytest.raises(SourceError):
        fetch.locate(made, "driad", place)
    content = os.urandom(MANY)
    one(web, content)
    (found,) = fetch.locate(made, "driad", place).values()
    assert found.sha256 == digest(content)
    assert min(start for _, start in web.sent) == 0


def test_a_download_leaves_the_parts_of_files_with_longer_names(web: Provider, place: Settings) -> None:
    made = one(web, b"first")
    other = place.downloads / "made" / "a.bin.gz.01234567.part"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"half")
    fetch.locate(made, "driad", place)
    assert other.read_bytes() == b"half"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.bin", "{web}missing.bin", "nosuchprotocol://x/a.bin"])
def test_what_cannot_be_fetched_is_one_sentence_with_a_way_out(web: Provider, place: Settings, url: str) -> None:
    made = source(File("a.bin", readers.csv, url=url.format(web=web.url)))
    with pytest.raises(SourceError, match=r"'a\.bin' could not be fetched from .*use --from\.") as caught:
        fetch.locate(made, "driad", place)
    assert "\n" not in str(caught.value)


def test_a_file_nobody_can_fetch_says_how_to_get_it(place: Settings) -> None:
    made = source(File("a.bin", readers.csv))
    with pytest.raises(SourceError, match=r"cannot be fetched: see https://github.com/labsyspharm.* --from"):
        fetch.locate(made, "driad", place)


def test_files_of_a_folder_are_recorded_or_checked_against_its_sums(folder: Path, place: Settings) -> None:
    made = source(File("a.bin", readers.csv), File("b c.bin", readers.csv))
    (folder / "a.bin").write_bytes(b"a")
    (folder / "b c.bin").write_bytes(b"b")
    assert {file.checked for file in fetch.locate(made, "driad", place, folder).values()} == {"recorded"}
    (folder / "SHA256SUMS").write_text(f"{digest(b'a').upper()} *./a.bin\n\n{digest(b'b')}  b c.bin\n")
    assert {file.checked for file in fetch.locate(made, "driad", place, folder).values()} == {"SHA256SUMS"}


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        (f"{digest(b'b')}  a.bin", "SHA256SUMS says .* put the right one in its place"),
        ("abc a.bin", "is no SHA-256 and name"),
        ("x", "is no SHA-256"),
    ],
)
def test_wrong_or_unreadable_sums_are_refused(folder: Path, place: Settings, sums: str, message: str) -> None:
    (folder / "a.bin").write_bytes(b"a")
    (folder / "SHA256SUMS").write_text(sums)
    with pytest.raises(SourceError, match=message):
        fetch.locate(source(File("a.bin", readers.csv)), "driad", place, folder)


def test_a_missing_file_and_a_missing_folder_are_named(folder: Path, place: Settings) -> None:
    made = source(File("a.bin", readers.csv))
    with pytest.raises(SourceError, match=r"no file 'a\.bin' in '.*release', which source 'made' needs"):
        fetch.locate(made, "driad", place, folder)
    with pytest.raises(SourceError, match=r"no folder '.*nowhere'"):
        fetch.locate(made, "driad", place, folder / "nowhere")


def pairs(folder: Path, *names: str) -> Source:
    for name in names:
        (folder / name).write_bytes(b"")
    return source(*(File(f"{part}{n}", readers.csv, set=f"P{n}") for n in (1, 2) for part in ("counts", "sheet")))


def test_sets_that_are_complete_are_taken(folder: Path, place: Settings) -> None:
    found = fetch.locate(pairs(folder, "counts2", "sheet2"), "driad", place, folder)
    assert sorted(found) == ["counts2", "sheet2"]


def test_half_a_set_and_no_set_are_refused(folder: Path, place: Settings) -> None:
    with pytest.raises(SourceError, match="it needs either 'counts1' and 'sheet1'; or 'counts2' and 'sheet2'"):
        fetch.locate(pairs(folder), "driad", place, folder)
    with pytest.raises(SourceError, match="only part of the set P1: 'sheet1' is missing"):
        fetch.locate(pairs(folder, "counts1", "counts2", "sheet2"), "driad", place, folder)


def test_a_dataset_needs_its_own_files_only(folder: Path, place: Settings) -> None:
    (folder / "own").write_bytes(b"")
    datasets = {"driad": registry.get("driad").datasets["driad"], "other": registry.get("driad").datasets["driad"]}
    made = replace(
        registry.get("driad"),
        files={"own": File("own", readers.csv), "its": File("its", readers.csv, datasets=("other",))},
        datasets=datasets,
    )
    assert sorted(fetch.locate(made, "driad", place, folder)) == ["own"]


def test_a_hash_is_remembered_until_the_file_changes_or_is_to_be_verified(tmp_path: Path, place: Settings) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    stat = path.stat()
    first = fetch.sha256(path, place)
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # damage that leaves size and time alone
    assert fetch.sha256(path, place) == first
    assert fetch.sha256(path, place, verify=True) == digest(b"two") == fetch.sha256(path, place)
    path.write_bytes(b"three")
    assert fetch.sha256(path, place) == digest(b"three")


def test_what_nobody_can_fetch_is_passed_over_where_another_set_or_none_will_do(web: Provider, place: Settings) -> None:
    web.contents["a.bin"], web.breaks_at = b"a", None
    closed = File("closed", readers.csv, set="closed"), File("extra", readers.csv, optional=True)
    made = source(*closed, File("a.bin", readers.csv, url=web.url + "a.bin", set="open"))
    assert sorted(fetch.locate(made, "driad", place)) == ["a.bin"]
    with pytest.raises(SourceError, match="'closed' of source 'made' cannot be fetched"):
        fetch.locate(source(*closed), "driad", place)


def test_files_in_subfolders_have_their_own_lines_in_the_sums(folder: Path, place: Settings) -> None:
    for name in ("obs", "var"):
        (folder / name).mkdir()
        (folder / name / "a.bin").write_bytes(name.encode())
    lines = [f"{digest(name.encode())}  {name}/a.bin\n" for name in ("obs", "var")]
    (folder / "SHA256SUMS").write_text("".join(lines))
    made = source(*(File(f"{name}/a.bin", readers.csv) for name in ("obs", "var")))
    assert {file.checked for file in fetch.locate(made, "driad", place, folder).values()} == {"SHA256SUMS"}


def test_sets_that_are_alternatives_are_named_as_such(folder: Path, place: Settings) -> None:
    names = {"a.csv": "one", "b.csv": "one", "c.csv": "two", "d.csv": None}
    made = source(*(File(name, readers.csv, set=of) for name, of in names.items()))
    words = "it needs either 'a.csv' and 'b.csv'; or 'c.csv'; and always 'd.csv'"
    with pytest.raises(SourceError, match=words):
        fetch.locate(made, "driad", place, folder)
