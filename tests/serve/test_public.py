"""What the public is shown is what it would be shown had the closed data set never been loaded: on every page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import httpx
import psycopg
import pytest
from databases import new_database
from serving import as_web, public_client
from snapshots import fill
from sqlalchemy import text

from pbdb.common.errors import ConfigError, PbdbError
from pbdb.common.settings import Settings
from pbdb.exports.snapshots import build
from pbdb.serve import catalog
from pbdb.serve.app import open_place
from pbdb.serve.place import BusyError
from pbdb.server import connect

MOST_PAGES = 400
V1 = "/api/v1"
NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnip\u202c" + "x" * 4900


@dataclass(frozen=True)
class Both:
    """The public sites of a database without the closed data set and of one with it; settings of the latter."""

    without: httpx.Client
    with_closed: httpx.Client
    settings: Settings


@pytest.fixture(scope="module")
def both(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    place = tmp_path_factory.mktemp("public")
    with (
        new_database(database_server, place / "home", template) as open_only,
        new_database(database_server, place / "home", template) as with_closed,
    ):
        for settings, is_closed_there in ((open_only, False), (with_closed, True)):
            with connect.engine(settings).begin() as connection:
                fill(connection, with_closed=is_closed_there)
                for change in ("source_compound SET name = :n", "dataset SET title = :n"):
                    connection.execute(text(f"UPDATE core.{change} WHERE dataset_id = 200"), {"n": NASTY})
                # A split of open and closed conditions: its name is for all who see one of its conditions.
                for table in ("split_member", "split"):
                    connection.execute(text(f"DELETE FROM core.{table} WHERE split_id = 400"))
        cache = place / "assets"
        with public_client(open_only, cache) as before, public_client(with_closed, cache) as after:
            yield Both(before, after, with_closed)


def walked(client: httpx.Client) -> dict[str, str]:
    """Text of every address that can be reached from the start by links, and of the addresses they lead to."""
    left, found = ["/", "/signature", "/heatmap", "/agreement", "/openapi.json", f"{V1}/", f"{V1}/release"], {}
    while left:
        address = left.pop(0)
        if address in found or address.startswith("/assets/"):
            continue
        answer = client.get(address, follow_redirects=True)
        found[address] = settled(answer.text)
        assert answer.status_code < 500, address
        if answer.headers["content-type"].startswith("text/html"):
            linked = re.findall(r'(?:href|src)="(/[^"#]*)', answer.text)
            left += sorted({html.unescape(link) for link in linked} - found.keys())
        assert len(found) < MOST_PAGES, "the walk does not end"
    return found


def settled(text: str) -> str:
    """Without what changes with the database's state, and when a stage ended."""
    return re.sub(r'"state":"\w+"|\d{4}-\d\d-\d\d[T ][\d:.+]+Z?', "", text)


def test_every_page_shows_what_it_would_without_the_closed_dataset(both: Both) -> None:
    one, two = walked(both.without), walked(both.with_closed)
    assert len(one) > 100
    assert two.keys() == one.keys()
    for address, shown in one.items():
        assert two[address] == shown, address


# What somebody would ask who knows that there is a closed data set: its names, keys and numbers.
HUNTED = [
    "/dataset/closed", "/search?q=closed", "/search?q=300", "/compound/KEY300", "/compound/drug%20300",
    "/compound/SAHA",
    "/context/CVCL:300", "/mechanism/moa%20of%20300", "/gene/ENSG00000000001?dataset=closed", "/match/0",
    "/match?compound=drug%20300", "/agreement?a=closed&b=open_a", "/heatmap?compounds=drug%20300&genes=TP53",
    "/signature?effect=361", "/compound/WAE?effect=361", f"{V1}/suggest?q=closed", f"{V1}/suggest?q=300",
    f"{V1}/compound/KEY300", f"{V1}/drawing.svg?inchikey=KEY300", f"{V1}/signature?effect=361",
    f"{V1}/structure?smiles=CCO&n=200", f"{V1}/condition_effect.csv?effect_id=361", f"{V1}/neighbours.json?effect=361",
    f"{V1}/effect.json?dataset=closed", f"{V1}/effect.csv?effect_id__gte=300", f"{V1}/sample.json?dataset=closed",
    f"{V1}/matched_condition.json?dataset_a=closed", f"{V1}/etl_run.json?dataset=closed",
    f"{V1}/find_compound.json?query=3",
    f"{V1}/compound_alias.json?alias__contains=300", f"{V1}/compound_annotation.json?value__contains=300",
    f"{V1}/effect.json?_sort_desc=effect_id", f"{V1}/effect.json?compound_nam=x",
]  # fmt: skip


@pytest.mark.parametrize("address", HUNTED)
def test_who_hunts_for_the_closed_dataset_finds_what_is_without_it(both: Both, address: str) -> None:
    one, two = (client.get(address, follow_redirects=True) for client in (both.without, both.with_closed))
    assert (two.status_code, settled(two.text)) == (one.status_code, settled(one.text))


def test_every_view_shows_the_public_what_is_open(both: Both) -> None:
    asked = {"effect_id": 161, "condition_id": 151, "compound_name": "vorinostat"}
    for view in both.with_closed.get(f"{V1}/").json()["views"]:
        needs = next((name for name in view["needs"] if name in asked), None)
        if view["arguments"] or (view["needs"] and needs is None):
            continue
        query = f"?{needs}={asked[needs]}" if needs else ""
        for kind in ("json", "csv"):
            one, two = (c.get(f"{V1}/{view['name']}.{kind}{query}") for c in (both.without, both.with_closed))
            assert settled(two.text) == settled(one.text), view["name"]
            assert two.status_code == 200, two.text
    assert len(catalog.KEYS) > 25


class Harm(HTMLParser):
    """Tags and attributes by which a name could do something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("iframe", "object", "embed", "base", "form") and not (given.get("action") or "/").startswith("/"):
            self.found.append(tag)
        if tag == "script" and given.get("type") != "application/json" and "src" not in given:
            self.found.append(tag)
        self.found += [name for name in given if name.startswith("on") or name == "style"]
        self.found += [
            url for name in ("href", "src") if (url := given.get(name) or "/")[0] not in "/#?" and url != "data:,"
        ]


def test_names_that_mean_harm_do_none(both: Both) -> None:
    pages = [shown for shown in walked(both.with_closed).values() if "<!DOCTYPE html>" in shown]
    assert any("onerror=alert(2)" in shown for shown in pages)
    for shown in pages:
        harm = Harm()
        harm.feed(shown)
        assert harm.found == []


@pytest.mark.parametrize("text", [NASTY[:2000], "\u202e", "'\"><svg onload=alert(1)>", "a" * 5000, "{{ 7 * 7 }}", "%"])
def test_what_visitors_write_is_shown_as_text(both: Both, text: str) -> None:
    for address, name in (("/search", "q"), ("/signature", "up"), ("/heatmap", "compounds"), ("/structure", "smiles")):
        found = both.with_closed.get(address, params={name: text})
        assert found.status_code < 500, address
        assert "<svg onload" not in found.text
        assert "<script>alert" not in found.text
        assert "49" not in re.findall(r"<h1>.*?</h1>", found.text, re.S)[0]


def test_every_answer_has_a_strict_policy(both: Both) -> None:
    for address in ("/", "/nothing", f"{V1}/nothing.json", f"{V1}/effect.csv", f"{V1}/"):
        found = both.with_closed.get(address)
        policy = found.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in found.headers
        assert found.headers["access-control-allow-origin"] == "*"


def test_the_login_of_an_insider_is_refused(both: Both) -> None:
    with pytest.raises(ConfigError, match="name the login pbdb_web"):
        open_place(None, both.settings, public=True)


ATTACKS = [
    "SELECT 1; SELECT 2",
    "DELETE FROM core.dataset",
    "CREATE TEMP TABLE t (a int)",
    "DO $$ BEGIN PERFORM 1; END $$",
    "SET ROLE pbdb_reader",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY core.dataset TO PROGRAM 'true'",
    "SELECT lo_import('/etc/passwd')",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_login_itself_can_do_no_harm(both: Both, attack: str) -> None:
    """No address takes SQL; if one did, this is all that stood behind it."""
    place = open_place(None, as_web(both.settings), public=True)
    try:
        with pytest.raises((psycopg.Error, PbdbError)), place.reading(1.0) as reading:
            reading.ask(attack, {})
        with place.reading() as reading:
            assert len(reading.ask("SELECT dataset FROM dataset")) == 2
    finally:
        place.close()


def test_a_long_query_is_ended(both: Both) -> None:
    place = open_place(None, as_web(both.settings), public=True)
    try:
        with pytest.raises(BusyError, match=r"took longer than 0\.3 s.* as a snapshot"), place.reading(0.3) as reading:
            reading.ask("SELECT pg_sleep(20)")
    finally:
        place.close()


def test_a_long_query_of_a_snapshot_is_ended_after_four_times_as_long(demo: tuple[Settings, Path]) -> None:
    settings, folder = demo
    place = open_place(folder, settings, public=False)
    try:
        with pytest.raises(BusyError, match=r"took longer than 0\.4 s.* pbdb\.connect"), place.reading(0.1) as reading:
            reading.ask("SELECT count(*) AS n FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7")
    finally:
        place.close()


def test_a_snapshot_with_a_closed_dataset_is_not_for_the_public(both: Both, tmp_path: Path) -> None:
    build.export(both.settings, str(tmp_path / "release"), build.Choices("1", include=["closed"]))
    with pytest.raises(PbdbError, match="holds closed"):
        open_place(tmp_path / "release", both.settings, public=True)
    open_place(tmp_path / "release", both.settings, public=False).close()
