"""Many processes and machines give what one gives; lost workers and interrupted runs cost only what they were at."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import single_cells
import tasks
import web
from single_cells import bits, cells, pooled, write

from pbdb.common import tasks as cluster
from pbdb.common.errors import ConfigError, DataError, PbdbError
from pbdb.common.tasks import Workers
from pbdb.samples.pseudobulk import run as pooling
from pbdb.samples.pseudobulk.range_task import pool
from pbdb.sources.declaration import CellFilter


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cells") / "cells.h5ad", compression="gzip")


@pytest.fixture
def in_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of 100 cells."""
    monkeypatch.setattr(pooling, "CELLS_PER_TASK", 100)


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A scheduler on loopback and a worker process of one thread, which starts anew when it is lost."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as found:
        yield found


@pytest.mark.usefixtures("in_ranges")
def test_processes_give_the_same_to_the_bit(source: Path, tmp_path: Path) -> None:
    here, facts = pooled(source, folder=tmp_path)
    found = pooled(source, folder=tmp_path, workers=Workers(2))
    assert (bits(found[0]), found[1]) == (bits(here), facts)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("in_ranges")
def test_a_cluster_gives_the_same_to_the_bit_from_files_over_http(source: Path, tmp_path: Path, dask: Any) -> None:
    here, facts = pooled(source, folder=tmp_path)
    with web.provider() as provider:
        provider.contents["cells.h5ad"] = source.read_bytes()
        address = f"{provider.url}cells.h5ad"
        found = pooled(address, folder=tmp_path, workers=Workers(address=dask.scheduler_address))
    assert (bits(found[0]), found[1]) == (bits(here), facts)


@pytest.mark.filterwarnings("ignore")
def test_tasks_of_a_lost_worker_are_done_again(tmp_path: Path, dask: Any) -> None:
    (tmp_path / "pids").mkdir()
    todo = [((tmp_path / "pids", f"task{at}"), tmp_path / f"{at}.txt") for at in range(4)]
    with ThreadPoolExecutor(1) as beside:
        killed = beside.submit(_kill_one, tmp_path / "pids")
        done = list(cluster.each(tasks.slowly, todo, Workers(address=dask.scheduler_address)))
    assert sorted(done) == [path for _, path in todo]
    assert [path.read_text() for _, path in todo] == [f"task{at}" for at in range(4)]
    assert killed.result() > 0


def _kill_one(folder: Path) -> int:
    """Kill the first process that leaves its number; with it goes the task it was at."""
    while not (found := list(folder.glob("*.pid"))):
        time.sleep(0.02)
    pid = int(found[0].stem)
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.filterwarnings("ignore")
def test_an_error_of_a_task_comes_back_as_it_is(tmp_path: Path, dask: Any) -> None:
    for workers in (Workers(2), Workers(address=dask.scheduler_address)):
        with pytest.raises(DataError, match=r"^'a' cannot be right\.$"):
            list(cluster.each(tasks.failing, [("a", tmp_path / "a")], workers))


def test_a_process_that_dies_costs_its_task_only(tmp_path: Path) -> None:
    markers = [tmp_path / name for name in ("alive", "dies")]
    markers[1].touch()
    todo = [(marker, tmp_path / f"{marker.name}.txt") for marker in markers]
    assert sorted(cluster.each(tasks.dying_once, todo, Workers(2))) == [path for _, path in todo]
    assert todo[1][1].read_text() == "dies"


def test_a_task_that_kills_every_process_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "TRIES", 1)
    (tmp_path / "dies").touch()
    with pytest.raises(PbdbError, match=r"A worker process ended 1 times before its task was done.*fewer --workers"):
        list(cluster.each(tasks.dying_once, [(tmp_path / "dies", tmp_path / "out")], Workers(2)))


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(ConfigError, match=r"No Dask scheduler answers at 'tcp://127.0.0.1:9'.*dask scheduler"):
        list(cluster.each(tasks.slowly, [((tmp_path, "a"), tmp_path / "a")], Workers(address="tcp://127.0.0.1:9")))


def _breaking(after: int) -> Callable[[Any, Path], None]:
    """Pool, but break off after so many tasks."""
    done = []

    def work(task: Any, path: Path) -> None:
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(path)
        pool(task, path)

    return work


@pytest.mark.usefixtures("in_ranges")
def test_an_interrupted_run_goes_on_where_it_stopped(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = pooled(source, folder=tmp_path)
    monkeypatch.setattr(pooling, "pool", _breaking(3))
    with pytest.raises(KeyboardInterrupt):
        pooled(source, folder=tmp_path, place=tmp_path / "kept")
    monkeypatch.setattr(pooling, "pool", _breaking(1))
    told: list[int] = []
    found, _ = pooled(
        source, folder=tmp_path, place=tmp_path / "kept", progress=lambda _, done, total: told.append(done)
    )
    assert bits(found) == bits(whole)
    assert told == [single_cells.N_CELLS]


@pytest.mark.usefixtures("in_ranges")
def test_what_is_done_is_done_anew_for_another_file_or_filter(source: Path, tmp_path: Path) -> None:
    first = pooling.cell_file(source, single_cells.DECLARED)
    other = write(tmp_path / "cells.h5ad", cells(seed=2))
    keys = {first.fingerprint, pooling.cell_file(other, single_cells.DECLARED).fingerprint}
    os.utime(other, (1, 1))
    keys.add(pooling.cell_file(other, single_cells.DECLARED).fingerprint)
    strict = replace(single_cells.DECLARED, filter=CellFilter(malat1=None))
    keys.add(pooling.cell_file(source, strict).fingerprint)
    assert len(keys) == 4
    assert pooling.cell_file(source, single_cells.DECLARED).fingerprint == first.fingerprint


def test_a_function_is_known_by_what_it_does(source: Path) -> None:
    text = "def derive(table):\n    return table.assign(well=[name[{}:] for name in table.index if len(name) in {}])"
    found = []
    for told in ((2, "{0, 8}"), (2, "{8, 0}"), (3, "{0, 8}")):
        made: dict[str, Any] = {}
        exec(text.format(*told), made)
        found.append(pooling.cell_file(source, replace(single_cells.DECLARED, derive=made["derive"])).fingerprint)
    assert found[0] == found[1] != found[2]
