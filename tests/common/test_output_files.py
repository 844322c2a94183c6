"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbdb.common import output_files
from pbdb.common.errors import ConfigError


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with output_files.replacing(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("shared", [True, False])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path, shared: bool) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), output_files.replacing(target, shared=shared) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), output_files.replacing(tmp_path / "a"):
        pass


def test_what_a_user_has_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    for block in (output_files.file, output_files.folder):
        with pytest.raises(ConfigError, match="exists already"), block(tmp_path / "a"):
            pass
    assert (tmp_path / "a").read_text() == "mine"


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    with output_files.folder(tmp_path / "out") as part:
        (part / "one").write_text("1")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "one").read_text() == "1"
    with pytest.raises(ZeroDivisionError), output_files.folder(tmp_path / "other") as part:
        (part / "one").write_text("1")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
