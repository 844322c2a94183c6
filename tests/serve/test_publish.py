"""A load that publishes during a request: asked again in a new transaction, then refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from made_up_effects import Made, write

from pbdb.common.settings import Settings
from pbdb.serve.place import BusyError, DatabasePlace, Place, Reading, open_place
from pbdb.serve.site import TRIES, Site
from pbdb.server import connect

COUNT = "SELECT count(*) AS n FROM core.effect"


def publish(settings: Settings, name: str) -> None:
    """Publish a data set of three conditions."""
    conditions = pd.DataFrame({"compound": list("ABC"), "context": "CVCL:0001", "dose_fm": 10**9, "time_h": 24.0})
    values = np.ones((3, 5), np.float32)
    write(connect.engine(settings), Made(name, conditions, np.arange(1, 6, dtype=np.int32), values, values))


@pytest.fixture
def place(database: Settings) -> Iterator[Place]:
    publish(database, "first")
    found = open_place(None, database, public=False)
    with found.reading() as reading:
        assert reading.ask(COUNT) == [{"n": 3}]  # planned, and the plan is kept
    yield found
    found.close()


def interrupted(reading: Reading, settings: Settings, name: str) -> int:
    """What a statement counts that is planned before a load publishes, and run after."""
    reading.connection.execute("LOCK TABLE core.effect IN ACCESS SHARE MODE")  # so that nothing makes it plan anew
    publish(settings, name)
    return int(reading.ask(COUNT)[0]["n"])


def test_a_request_is_answered_although_a_load_publishes_in_between(place: DatabasePlace, database: Settings) -> None:
    names = iter(["second"])
    tries: list[int] = []

    def work(reading: Reading) -> int:
        tries.append(1)
        name = next(names, None)
        return interrupted(reading, database, name) if name else int(reading.ask(COUNT)[0]["n"])

    assert Site(place, {}).read(work) == 6
    assert len(tries) == 2


def test_a_request_that_loads_interrupt_each_time_is_refused_in_a_sentence(
    place: DatabasePlace, database: Settings
) -> None:
    names = iter(f"next_{n}" for n in range(9))
    with pytest.raises(BusyError, match="replaced while it was read: try again"):
        Site(place, {}).read(lambda reading: interrupted(reading, database, next(names)))
    assert next(names) == f"next_{TRIES}"
