"""A load whose fits are made on a cluster leaves in the database what a plain load leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from databases import new_database
from loads import contents, load, query

from pbdb.common.settings import Settings
from pbdb.effects import cluster_fits
from pbdb.effects.engine import matrix

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
