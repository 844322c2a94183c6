"""A load that publishes while a request is answered: it is asked again, and refused in a sentence if that goes on."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import made
import pytest
from databases import new_database
from serving import client_of
from snapshots import fill

from pbdb.common.settings import Settings
from pbdb.serve.app import open_place
from pbdb.serve.site import TRIES
from pbdb.server import connect

V1 = "/api/v1"
LOCKS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.classid = 77 AND d.datname = current_database()"""
# Says what the server says to a statement that was planned before a data set was replaced and runs after it. It
# counts in locks of the session: they outlive a transaction that only reads and is rolled back.
REPLACED = f"""
CREATE FUNCTION public.fails_first(times integer) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    failed integer := ({LOCKS});
BEGIN
    IF failed < times THEN
        PERFORM pg_advisory_lock(77, failed);
        RAISE EXCEPTION 'replaced' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END $$"""


@pytest.fixture
def served(database_server: Settings, template: str, tmp_path: Path) -> Iterator[tuple[Settings, httpx.Client]]:
    with new_database(database_server, tmp_path / "home", template) as settings:
        with connect.engine(settings).begin() as connection:
            fill(connection)
        place = open_place(None, settings, public=False)
        with client_of(place, tmp_path / "assets") as client:
            yield settings, client
        place.close()


def fail_first(settings: Settings, times: int) -> None:
    """Let the view of runs fail so many times, then answer."""
    with connect.connect(settings, autocommit=True) as connection:
        (view,) = connection.execute("SELECT rtrim(pg_get_viewdef('pbdb.etl_run'), ';')").fetchone() or ("",)
        connection.execute(REPLACED.encode())
        wrapped = f"CREATE OR REPLACE VIEW pbdb.etl_run AS SELECT v.* FROM ({view}) v WHERE public.fails_first({times})"
        connection.execute(wrapped.encode())


def failures(settings: Settings) -> int:
    with connect.connect(settings, autocommit=True) as connection:
        (found,) = connection.execute(LOCKS.encode()).fetchone() or (0,)
        return int(found)


def test_a_request_is_asked_again_when_a_dataset_was_replaced(served: tuple[Settings, httpx.Client]) -> None:
    settings, client = served
    shown = client.get(f"{V1}/etl_run.json?_size=1000").json()["rows"]
    fail_first(settings, TRIES - 1)
    again = client.get(f"{V1}/etl_run.json?_size=999")
    assert again.status_code == 200, again.text
    assert again.json()["rows"] == shown != []
    assert failures(settings) == TRIES - 1


def test_a_request_is_refused_when_datasets_are_replaced_each_time(served: tuple[Settings, httpx.Client]) -> None:
    settings, client = served
    fail_first(settings, TRIES)
    refused = client.get(f"{V1}/etl_run.json")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "A data set was replaced while it was read: try again" in refused.json()["detail"]
    assert failures(settings) == TRIES
    assert client.get(f"{V1}/etl_run.json").status_code == 200


def test_while_releases_are_published_every_answer_is_of_one_of_them(
    database_server: Settings, template: str, tmp_path: Path
) -> None:
    whole, smaller = made.sheet(), made.sheet().iloc[:20]
    folders = [made.write(tmp_path / str(len(sheet)), sheet) for sheet in (whole, smaller)]
    with new_database(database_server, tmp_path / "home", template) as settings:
        made.load(settings, folders[0])
        place, is_over = open_place(None, settings, public=False), threading.Event()
        with client_of(place, tmp_path / "assets") as client:

            def asked(n: int) -> httpx.Response:
                # Each address is asked once, so that no answer is one that was kept.
                return client.get(f"{V1}/condition_effect.json?compound_name=x&_size=1000&log2_fc__gt=-{1000 + n}")

            def ask(first: int) -> list[httpx.Response]:
                found = []
                for n in count(first):
                    found += [asked(n), client.get(f"/dataset/made?fresh={n}")]
                    if is_over.is_set():
                        return found
                return found

            def shown(n: int) -> tuple[str, int]:
                """How much the page says there is, and how much there is."""
                page = client.get(f"/dataset/made?now={n}").text
                (cells,) = client.get(f"{V1}/coverage.json?dataset=made&_size={10 + n}").json()["rows"]
                return re.findall(r"It holds (\d+) conditions", page)[0], cells["n_conditions"]

            releases, held = [asked(1).json()["rows"]], [shown(1)]
            with ThreadPoolExecutor(2) as pool:
                running = [pool.submit(ask, first) for first in (1000, 1_000_000)]
                for n, folder in enumerate(folders[1:]):
                    made.load(settings, folder)
                    releases.append(asked(2 + n).json()["rows"])
                    held.append(shown(2 + n))
                is_over.set()
                answers = [answer for one in running for answer in one.result()]
        place.close()
    assert {answer.status_code for answer in answers} == {200}
    assert [page for page, _ in held] == [str(there) for _, there in held]
    assert len(set(held)) == 2
    rows = [answer.json()["rows"] for answer in answers if answer.url.path.endswith(".json")]
    assert [one for one in rows if one not in releases] == []
    assert sum(one in rows for one in releases) >= 2, "the loads were over before anybody asked"
