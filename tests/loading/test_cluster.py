"""A load, or further fits, made on a cluster leave in the database what they leave without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from databases import new_database
from loads import contents, load, query

from pbdb.common.errors import ConfigError
from pbdb.common.settings import Settings
from pbdb.effects import cluster_fits
from pbdb.effects.engine import Options, matrix
from pbdb.effects.options import FitOptions
from pbdb.loading import further_fits

# All of a fit but when it was written and how long it took.
FITS = "SELECT to_jsonb(f) - 'created_at' - 'report', report - 'seconds' FROM core.fit f ORDER BY fit_id"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("largest_whole", [1 << 27, 0], ids=["whole", "blocks"])
def test_a_load_on_a_cluster_leaves_the_same(
    database_server: Settings,
    with_genes: str,
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    largest_whole: int,
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(cluster_fits, "LARGEST_WHOLE", largest_whole)
    monkeypatch.setattr(matrix, "BLOCK_BYTES", 1 << 16)
    found: list[dict[str, Any]] = []
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as dask:
        for cluster in (None, dask.scheduler_address):
            with new_database(database_server, tmp_path / f"home{len(found)}", with_genes) as settings:
                load(settings, release, cluster=cluster)
                found.append(contents(settings) | {"fit": str(query(settings, FITS)), "artifact": ""})
    assert {name for name in found[0] if found[0][name] != found[1][name]} == set()
    assert set(found[0]) > {"effect", "gene_effect", "fit"}


@pytest.mark.filterwarnings("ignore")
def test_further_fits_on_a_cluster_are_the_same(settings: Settings, release: Path) -> None:
    from distributed import LocalCluster

    load(settings, release)
    choices = FitOptions(Options(readout="counts"), mode="replicate", is_default=False)
    found: list[dict[str, Any]] = []
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as dask:
        for cluster in (None, dask.scheduler_address):
            further_fits.run_fits(settings, "driad", choices, cluster=cluster)
            found.append(contents(settings) | {"fit": str(query(settings, FITS)), "part": ""})
    assert {name for name in found[0] if found[0][name] != found[1][name]} == set()
    with pytest.raises(ConfigError, match="No Dask scheduler answers"):
        further_fits.run_fits(settings, "driad", choices, cluster="tcp://127.0.0.1:9")
