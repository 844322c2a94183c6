"""L1000: simulated releases of both phases and the real plates, through the whole load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from databases import new_database
from loads import load, query

from pbdb import vocabulary
from pbdb.config import Settings
from pbdb.simulate import l1000

PHASES = ("l1000_phase1", "l1000_phase2")


@dataclass(frozen=True)
class Loaded:
    settings: Settings
    folder: Path
    truth: l1000.Truth


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, l1000.Truth]:
    folder = tmp_path_factory.mktemp("l1000") / "release"
    return folder, l1000.write(folder)


@pytest.fixture(scope="module")
def one(
    release: tuple[Path, l1000.Truth],
    database_server: Settings,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Loaded]:
    folder, truth = release
    with new_database(database_server, tmp_path_factory.mktemp("l1000") / "home", template) as settings:
        vocabulary.import_files(settings, "genes", folder / l1000.VOCABULARY, release="simulated")
        for dataset in PHASES:
            load(settings, folder, "l1000", dataset=dataset)
        yield Loaded(settings, folder, truth)


@pytest.mark.parametrize("dataset", PHASES)
def test_every_well_loads_or_is_counted_under_its_kind(one: Loaded, dataset: str) -> None:
    flags = query(
        one.settings,
        """SELECT coalesce(flags[1], 'in_fit'), count(*) FROM core.sample JOIN core.dataset USING (dataset_id)
        WHERE dataset = :dataset GROUP BY 1""",
        dataset=dataset,
    )
    assert dict(flags) == one.truth.wells[dataset]
    ((rows_in, rows_out, dropped),) = query(
        one.settings,
        "SELECT rows_in, rows_out, dropped FROM core.etl_run WHERE dataset = :dataset AND stage = 'transform'",
        dataset=dataset,
    )
    assert dropped == {f"profile {kind}": n for kind, n in one.truth.left_out[dataset].items()}
    assert rows_in - rows_out == sum(one.truth.left_out[dataset].values())
