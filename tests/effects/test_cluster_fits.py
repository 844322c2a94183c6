"""Fits made on a cluster have the bytes of those made in one process, whatever becomes of its workers meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pbdb.common import tasks
from pbdb.common.errors import ConfigError
from pbdb.effects import cluster_fits, dataset_fits
from pbdb.effects.engine import Options, matrix
from pbdb.effects.options import FitOptions
from pbdb.samples import matrix_file

pytestmark = pytest.mark.filterwarnings("ignore")

CONTEXTS = [f"CVCL:000{n}" for n in range(8)]
N_GENES, N_PLATES = 90, 3


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A scheduler on loopback and two worker processes of one thread, which start anew when they are lost."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as found:
        yield found


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    """Wells of several contexts; one context has no vehicle, one well is flagged."""
    wells = pd.DataFrame(
        [(context, plate, compound) for context in CONTEXTS for plate in range(N_PLATES) for compound in range(-2, 6)],
        columns=["context", "plate_id", "compound"],
    )
    wells = wells[(wells["compound"] >= 0) | (wells["context"] != CONTEXTS[-1])].reset_index(drop=True)
    vehicle = wells["compound"] < 0
    return wells.assign(
        sample_id=np.arange(len(wells)) + 1000,
        source_compound_id=wells["compound"].clip(lower=-1),
        condition_id=wells["compound"].clip(lower=-1) + 100 * wells["context"].map(CONTEXTS.index) + 10,
        time_h=24.0,
        is_vehicle=vehicle,
        dose_fm=np.where(vehicle, 0, 10**9),
        n_cells=np.nan,
        stratum=None,
        in_fit=wells.index != 5,
        flags=[["low_depth"] if at == 5 else [] for at in wells.index],
    )


def write(path: Path, samples: pd.DataFrame, *, dense: bool) -> Path:
    """A canonical matrix of these wells: counts, or intensities some of which are missing."""
    random = np.random.default_rng(7)
    level = random.lognormal(3, 1, N_GENES) * np.exp(0.3 * random.standard_normal((len(samples), N_GENES)))
    level[samples["compound"] == 1, :9] *= 6
    genes = pd.DataFrame({"gene_key": np.arange(N_GENES, dtype=np.int32)}, index=[f"g{n}" for n in range(N_GENES)])
    writer = matrix_file.Writer(path, dense=dense)
    if dense:
        intensities = np.log2(level).astype(np.float32)
        intensities[3, :5] = np.nan
        writer.add(intensities, genes["gene_key"].to_numpy())
    else:
        writer.add(sp.csr_matrix(random.poisson(level).astype(np.int32)), genes["gene_key"].to_numpy())
    writer.finish(pd.DataFrame(index=samples["sample_id"].astype(str)), genes, {})
    return path


def content(fits: list[Any]) -> dict[str, bytes | dict[str, Any]]:
    """Every file of every fit; of the facts all but how long it took."""
    found: dict[str, Any] = {}
    for fit in fits:
        for file in sorted(fit.folder.iterdir()):
            found[f"{fit.folder.name}/{file.name}"] = file.read_bytes()
        facts = json.loads((fit.folder / "fit.json").read_text())
        facts["report"].pop("seconds", None)
        found[f"{fit.folder.name}/fit.json"] = facts
    return found


def jobs(path: Path, samples: pd.DataFrame, progress: Any = lambda *_: None) -> list[Any]:
    options = Options("log2_intensity" if matrix_file.is_dense(path) else "counts", threads=2)
    return list(dataset_fits.fits_of("made_up", path, samples, FitOptions(options), progress))


def here(path: Path, samples: pd.DataFrame, folder: Path) -> dict[str, Any]:
    return content([dataset_fits.fit_group(job, folder) for job in jobs(path, samples)])


@pytest.fixture(params=["whole", "blocks"])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fits as tasks, or blocks of 16 genes as tasks."""
    if request.param == "blocks":
        monkeypatch.setattr(cluster_fits, "LARGEST_WHOLE", 0)
        monkeypatch.setattr(matrix, "BLOCK_BYTES", 1)
    return str(request.param)


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("dense", [False, True], ids=["counts", "intensities"])
def test_a_cluster_makes_the_same_bytes(samples: pd.DataFrame, tmp_path: Path, dask: Any, dense: bool) -> None:
    path = write(tmp_path / "samples.h5ad", samples, dense=dense)
    expected = here(path, samples, tmp_path / "here")
    found = cluster_fits.fit_jobs(jobs(path, samples), tmp_path / "there", dask.scheduler_address)
    assert content(found) == expected
    assert {fit.facts.n_samples > 0 for fit in found} == {True, False}
    assert sorted(folder.name for folder in (tmp_path / "there").iterdir()) == sorted(
        fit.folder.name for fit in found
    ), "something else was left behind"


@pytest.mark.usefixtures("cut")
def test_values_travel_where_workers_do_not_see_the_files(
    samples: pd.DataFrame, tmp_path: Path, dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers are elsewhere, where a relative path leads to nothing
    path = write(Path("samples.h5ad"), samples, dense=False)
    expected = here(path, samples, Path("here"))
    assert content(cluster_fits.fit_jobs(jobs(path, samples), Path("there"), dask.scheduler_address)) == expected


def test_tasks_of_a_killed_worker_are_done_again(samples: pd.DataFrame, tmp_path: Path, dask: Any, cut: str) -> None:
    path = write(tmp_path / "samples.h5ad", samples, dense=False)
    expected = here(path, samples, tmp_path / "here")
    before = _pids(dask)
    killed: list[int] = []

    def kill_one(what: str, done: int, total: int | None) -> None:
        if not killed and total is not None and done < total:
            killed.append(min(before))
            os.kill(killed[0], signal.SIGKILL)

    found = cluster_fits.fit_jobs(jobs(path, samples, kill_one), tmp_path / "there", dask.scheduler_address)
    assert content(found) == expected
    assert killed and killed[0] not in _pids(dask)


def _pids(dask: Any) -> set[int]:
    from distributed import Client

    with Client(dask.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        return set(client.run(os.getpid).values())


def test_finished_fits_are_not_made_again(
    samples: pd.DataFrame, tmp_path: Path, dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "samples.h5ad", samples, dense=False)
    cluster_fits.fit_jobs(jobs(path, samples), tmp_path / "fits", dask.scheduler_address)
    monkeypatch.setattr(tasks, "SECONDS_TO_CONNECT", 1)
    again = cluster_fits.fit_jobs(jobs(path, samples), tmp_path / "fits", "tcp://127.0.0.1:9")
    assert content(again) == here(path, samples, tmp_path / "here")


def test_a_cluster_without_workers_is_told_of(
    samples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(tasks, "SECONDS_FOR_A_WORKER", 1)
    path = write(tmp_path / "samples.h5ad", samples, dense=False)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as empty,
        pytest.raises(ConfigError, match=r"scheduler at '.*' has no worker: start some \(`dask worker"),
    ):
        cluster_fits.fit_jobs(jobs(path, samples), tmp_path / "fits", empty.scheduler_address)
