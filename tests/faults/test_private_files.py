"""Files of data sets that may not be passed on are for their user alone."""

from __future__ import annotations

import os
from pathlib import Path

from pbdb.common.private_files import private_files
from pbdb.common.settings import Settings
from pbdb.loading import pipeline
from pbdb.simulate import drugseq
from pbdb.sources import registry


def modes(folder: Path) -> set[str]:
    """What others may do with the things in a folder."""
    return {oct(path.stat().st_mode & 0o777) for path in [folder, *folder.rglob("*")]}


def test_a_load_leaves_nothing_that_others_can_read(database: Settings, tmp_path: Path) -> None:
    drugseq.write(tmp_path / "release", compounds=4, plates=3, genes=600)
    (database.home / "cache").mkdir(parents=True)
    pipeline.load_source(registry.get("drugseq"), database, pipeline.Choices(folder=tmp_path / "release"))
    assert list(database.cache.rglob("samples.h5ad"))
    assert modes(database.cache) <= {"0o700", "0o600"}
    assert oct((database.home / "hashes.sqlite").stat().st_mode & 0o777) == "0o600"


def test_what_was_left_open_is_closed_and_the_mask_comes_back(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for path in (tmp_path / "cache", tmp_path / "downloads"):
            path.mkdir()
        (tmp_path / "hashes.sqlite").touch()
        with private_files(Settings(tmp_path)):
            (tmp_path / "cache" / "x").touch()
        assert modes(tmp_path / "cache") == {"0o700", "0o600"} and modes(tmp_path / "downloads") == {"0o700"}
        assert (tmp_path / "hashes.sqlite").stat().st_mode & 0o777 == 0o600
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
