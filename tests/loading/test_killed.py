"""Killed in any stage, or out of disk: the old data stand, and the next load goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import made
import pytest
from databases import new_database
from loads import contents, name_of, value
from support import as_root, running_server

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.effects import stored_fit
from pbdb.server import connect

MEASURED = ("fit", "artifact", "part")
# One process imports everything; each load is a fork of it, which dies when it calls the function named.
FORKING = """
import importlib, os, signal, sys
from pathlib import Path
import made
from pbdb.common.settings import Settings
for line in sys.stdin:
    home, url, folder, module, name = line.split()
    if not (pid := os.fork()):
        setattr(importlib.import_module(module), name, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
        made.load(Settings(home=Path(home), database_url=url, workers=1), Path(folder))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
BEFORE_THE_SWAP = {
    "extract": ("pbdb.sources.fetch", "locate"),
    "transform": ("pbdb.samples.canonicalise", "standard_obs"),
    "validate": ("pbdb.loading.table_rows", "dataset_tables"),
    "effects": ("pbdb.effects.dataset_fits", "fill"),
    "publish, building": ("pbdb.loading.publish", "copy_gene_effects"),
    "publish, attaching": ("pbdb.database.partitions", "attach"),
    "publish, swapping": ("pbdb.database.partitions", "make_current"),
}


def rows(settings: Settings) -> dict[str, str]:
    return {name: found for name, found in contents(settings).items() if name not in MEASURED}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An old release and a new one, which lacks a condition."""
    place = tmp_path_factory.mktemp("releases")
    return made.write(place / "old"), made.write(place / "new", made.sheet().iloc[:20])


@pytest.fixture(scope="module")
def with_old(
    database_server: Settings, template: str, folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a database that holds the old release."""
    with new_database(database_server, tmp_path_factory.mktemp("old") / "home", template) as settings:
        made.load(settings, folders[0])
        yield name_of(settings)


@pytest.fixture(scope="module")
def expected(
    database_server: Settings, with_old: str, folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What a database holds after the old release and then the new one."""
    with new_database(database_server, tmp_path_factory.mktemp("expected") / "home", with_old) as settings:
        made.load(settings, folders[1])
        return rows(settings)


@pytest.fixture(scope="module")
def mother() -> Iterator[subprocess.Popen[str]]:
    """The process whose forks are killed."""
    paths = os.pathsep.join([str(Path(made.__file__).parent), os.environ.get("PYTHONPATH", "")])
    started = subprocess.Popen(
        [sys.executable, "-c", FORKING],
        env=os.environ | {"PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield started
    started.communicate()


@pytest.fixture
def holding(database_server: Settings, with_old: str, tmp_path: Path) -> Iterator[Settings]:
    """A database of the test's own that holds the old release."""
    with new_database(database_server, tmp_path / "home", with_old) as settings:
        yield settings


def kill(mother: subprocess.Popen[str], settings: Settings, folder: Path, module: str, name: str) -> None:
    """Load in a process that is killed when it calls a function."""
    assert mother.stdin and mother.stdout
    print(settings.home, settings.database_url, folder, module, name, file=mother.stdin, flush=True)
    assert mother.stdout.readline().strip() == str(-signal.SIGKILL)


@pytest.mark.parametrize("stage", BEFORE_THE_SWAP)
def test_a_load_killed_before_the_swap_leaves_the_old_data_and_the_next_one_goes_on(
    mother: subprocess.Popen[str], holding: Settings, folders: tuple[Path, Path], expected: dict[str, str], stage: str
) -> None:
    before = rows(holding)
    kill(mother, holding, folders[1], *BEFORE_THE_SWAP[stage])
    assert rows(holding) == before
    assert made.load(holding, folders[1])["changed"]
    assert rows(holding) == expected
    assert contents(holding)["part"] == "3"


def test_a_load_killed_after_the_swap_is_a_load(
    mother: subprocess.Popen[str], holding: Settings, folders: tuple[Path, Path], expected: dict[str, str]
) -> None:
    kill(mother, holding, folders[1], "pbdb.database.partitions", "analyze")
    assert value(holding, "SELECT count(*) FROM core.sample") == 20
    assert not made.load(holding, folders[1])["changed"]
    assert rows(holding) == expected


@contextmanager
def small_disk(folder: Path, megabytes: float) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder.mkdir(parents=True)
    options = f"size={int(megabytes * 1024)}k,mode=755"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pbdb", folder], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@as_root
@pytest.mark.parametrize("megabytes", [0.004, 0.1, 3])
def test_a_full_disk_of_the_cache_is_one_sentence(
    holding: Settings, folders: tuple[Path, Path], tmp_path: Path, megabytes: float
) -> None:
    before = contents(holding, versions=True)
    with small_disk(tmp_path / "small", megabytes) as disk:
        with pytest.raises(PbdbError, match=r"stopped because the disk is full: make room, .* stands\.") as caught:
            made.load(replace(holding, home=disk / "home"), folders[1])
        assert "\n" not in str(caught.value)
    assert contents(holding, versions=True) == before
    assert made.load(holding, folders[1])["changed"]


@as_root
def test_a_fit_that_the_disk_has_no_room_for_is_an_error_not_a_crash(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1) as disk, pytest.raises(OSError, match="No space left"):
        stored_fit.tile(disk / "tile", (1000, 1000), "w+")


@as_root
def test_a_full_disk_of_the_server_leaves_the_old_data(folders: tuple[Path, Path], tmp_path: Path) -> None:
    place = Path("/tmp") / f"pbdb-test-disk-{os.getpid()}"
    with small_disk(place, 160) as disk, running_server(disk / "home") as on:
        settings = Settings(tmp_path / "home", connect.url(on), workers=1)
        schema.upgrade(connect.engine(settings))
        made.load(settings, folders[0])
        before = rows(settings)
        with (disk / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(disk).free - 100_000)
        with pytest.raises(PbdbError, match=r"disk is full|lost the server"):
            made.load(settings, folders[1])
        (disk / "filler").unlink()
        connect.stop(on, immediately=True)
        connect.ensure_running(on)
        assert rows(settings) == before
        assert made.load(settings, folders[1])["changed"]
    place.rmdir()
