"""Run tasks that each leave one file: in this process, in local processes, or on a Dask cluster; lost ones anew."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pbdb.common import output_files
from pbdb.common.errors import ConfigError, WorkerError

TRIES = 3
SECONDS_TO_CONNECT = 5
SECONDS_FOR_A_WORKER = 60

Work = Callable[[Any, Path], None]
Tasks = Sequence[tuple[Any, Path]]


@dataclass(frozen=True)
class Workers:
    """Where tasks run: in this process, or in n processes of this machine, or on the Dask scheduler at an address.

    threads: of this process, where tasks run in it.
    """

    n: int | None = None
    address: str | None = None
    threads: int = 1

    @property
    def threads_of_task(self) -> int:
        """Threads a task may use; on a cluster one, as each worker of it has its own."""
        if self.address is not None:
            return 1
        return self.threads if self.n is None else max(1, (os.cpu_count() or 1) // self.n)


def each(work: Work, tasks: Tasks, workers: Workers) -> Iterator[Path]:
    """Do `work(task, path)`, which writes a file to path, for all tasks; yield each path when it is there.

    A worker that is lost costs its tasks only: they are done again. An error of a task ends the run.

    Raises:
        ConfigError: the cluster does not answer, or its workers cannot run pbdb.
        PbdbError: that of a task; WorkerError: a task has lost its worker again and again.
    """
    if not tasks:
        return iter(())
    if workers.address is not None:
        return _on_cluster(work, tasks, workers.address)
    if workers.n is not None and workers.n > 1:
        return _in_processes(work, tasks, workers.n)
    return _here(work, tasks)


def _here(work: Work, tasks: Tasks) -> Iterator[Path]:
    for task, path in tasks:
        work(task, path)
        yield path


def _in_processes(work: Work, tasks: Tasks, n: int) -> Iterator[Path]:
    """Processes that die take the pool with them: what was not done goes to a new one."""
    waiting = dict((path, task) for task, path in tasks)
    for _ in range(TRIES):
        try:
            for path in _in_pool(work, waiting, n):
                del waiting[path]
                yield path
        except BrokenProcessPool:
            continue
        return
    raise WorkerError(
        f"A worker process ended {TRIES} times before its task was done: it was killed, most likely because "
        "memory ran out; run the command again with fewer --workers, what is done is kept."
    )


def _in_pool(work: Work, waiting: dict[Path, Any], n: int) -> Iterator[Path]:
    import cloudpickle

    with ProcessPoolExecutor(min(n, len(waiting)), mp_context=get_context("spawn")) as pool:
        futures = {
            pool.submit(_unpacked, cloudpickle.dumps((work, task, path))): path for path, task in waiting.items()
        }
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _unpacked(packed: bytes) -> None:
    import cloudpickle

    work, task, path = cloudpickle.loads(packed)
    work(task, path)


def _on_cluster(work: Work, tasks: Tasks, address: str) -> Iterator[Path]:
    """Workers send what they made: they need not share a folder with this process."""
    parcels = (Parcel(path, (work, task)) for task, path in tasks)
    for path, content in stream(_content, parcels, address):
        _write(path, content)
        yield path


class UnseenError(Exception):
    """A worker does not see a file that its task names."""


@dataclass(frozen=True)
class Parcel:
    """A task of a cluster: its key here, what the work is given, and the same with the content of its files.

    carried: asked for where a worker raises UnseenError; None where the work reads no file of this machine.
    """

    key: Any
    given: Any
    carried: Callable[[], Any] | None = None


def stream(work: Callable[[Any], Any], parcels: Iterable[Parcel], address: str) -> Generator[tuple[Any, Any]]:
    """Do `work(given)` on a Dask cluster; yield each key with what was made of it, in the order in which they are done.

    Two tasks for each thread of the cluster are under way at a time, the others wait in `parcels`; results stay with
    the workers until they are yielded, one by one. A worker that is lost costs its tasks only: they are done again.

    Raises:
        ConfigError: the cluster does not answer, has no worker, or its workers cannot run pbdb.
        PbdbError: that of a task; WorkerError: a task has lost its worker again and again.
    """
    client = _client(address)
    try:
        yield from _streamed(client, work, iter(parcels), address)
    finally:
        client.close()


def _streamed(client: Any, work: Callable[[Any], Any], waiting: Iterator[Parcel], address: str) -> Iterator[Any]:
    import distributed

    sees_files = True
    running: dict[Any, Parcel] = {}
    with client.as_current():
        done = distributed.as_completed([])  # type: ignore[no-untyped-call]

    def start(parcel: Parcel) -> None:
        given = parcel.given if sees_files or parcel.carried is None else parcel.carried()
        future = client.submit(work, given, pure=False)
        running[future] = parcel
        done.add(future)  # type: ignore[no-untyped-call]

    for parcel in islice(waiting, _under_way(client, address)):
        start(parcel)
    for future in done:
        parcel = running.pop(future)
        try:
            made = _result(future, address)
        except UnseenError:
            sees_files = False
            start(parcel)
            continue
        future.release()
        for another in islice(waiting, max(0, _under_way(client, address) - len(running))):
            start(another)
        yield parcel.key, made


def _under_way(client: Any, address: str) -> int:
    """How many tasks a cluster is given at a time; the number of its workers may change."""
    try:
        client.wait_for_workers(1, timeout=SECONDS_FOR_A_WORKER)
    except TimeoutError:
        raise ConfigError(
            f"The Dask scheduler at '{address}' has no worker: start some (`dask worker --nthreads 1 {address}` where "
            "the work shall be done) and run the command again; what is done is kept."
        ) from None
    return 2 * int(sum(client.nthreads().values()))


def _client(address: str) -> Any:
    import distributed

    try:
        return distributed.Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as problem:
        raise ConfigError(
            f"No Dask scheduler answers at '{address}' ({problem}): start one (`dask scheduler`, then `dask worker "
            "--nthreads 1 ADDRESS` where the work shall be done), or leave --cluster out."
        ) from None


def _result(future: Any, address: str) -> Any:
    import distributed

    try:
        return future.result()
    except distributed.KilledWorker:
        raise WorkerError(
            f"A task was lost with its worker on the cluster '{address}' again and again: its workers die, most likely "
            "because memory ran out (each needs about 4 GiB); what is done is kept."
        ) from None
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"The workers of the cluster '{address}' cannot run the work ({problem}): install the same pbdb there."
        ) from None


def _content(given: tuple[Work, Any]) -> bytes:
    work, task = given
    with tempfile.TemporaryDirectory(prefix="pbdb-") as folder:
        path = Path(folder) / "result"
        work(task, path)
        return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    with output_files.replacing(path) as part:
        part.write_bytes(content)
