"""The ledger: one row for each stage of a load that did work."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, or_, select, text

from pbdb.common import memory
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.database.copy_text import as_json
from pbdb.database.models import Artifact, EtlRun
from pbdb.database.stage_names import Stage
from pbdb.sources.declaration import Source
from pbdb.sources.fetch import Located


@dataclass
class Entry:
    """A row of the ledger in the making."""

    stage: Stage
    rows_in: int | None = None
    rows_out: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    report: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    peak_mb: float = 0.0
    status: str = "done"
    message: str | None = None

    def as_row(self) -> dict[str, Any]:
        """The entry as columns of `etl_run`."""
        return {
            "stage": self.stage,
            "status": self.status,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "dropped": self.dropped,
            "report": json.loads(as_json(self.report)),
            "message": self.message,
            "seconds": self.seconds,
            "peak_mb": self.peak_mb,
        }

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Time what stands in the block, and note a failure."""
        start = time.perf_counter()
        memory.forget_peak()
        try:
            yield
        except BaseException as problem:
            self.status, self.message = "failed", str(problem).replace("\0", "")  # which the server's text cannot hold
            raise
        finally:
            self.seconds = round(time.perf_counter() - start, 3)
            self.peak_mb = memory.peak_mb()


def record(
    engine: Engine,
    source: Source,
    dataset: str,
    fingerprint: str,
    located: Mapping[str, Located],
    entries: Sequence[Entry],
) -> None:
    """Write entries of one load, in a transaction of its own."""
    if not entries:
        return
    inputs = {
        key: {"file": file.path.name, "bytes": file.n_bytes, "sha256": file.sha256, "checked": file.checked}
        for key, file in located.items()
    }
    common = {
        "source": source.key,
        "dataset": dataset,
        "release": source.datasets[dataset].release,
        "fingerprint": fingerprint,
        "inputs": inputs,
        "code_version": __version__,
    }
    with engine.begin() as connection:
        connection.execute(insert(EtlRun), [common | entry.as_row() for entry in entries])


def register(connection: Connection, settings: Settings, dataset: str, path: Path, sha256: str) -> None:
    """Register the canonical matrix of a dataset, in the place of the one before."""
    row = {
        "dataset": dataset,
        "kind": "samples_h5ad",
        "path": str(path.relative_to(settings.home)),
        "n_bytes": path.stat().st_size,
        "sha256": sha256,
    }
    connection.execute(delete(Artifact).where(Artifact.dataset == dataset, Artifact.kind == row["kind"]))
    connection.execute(insert(Artifact), row)


def stale(engine: Engine) -> list[dict[str, Any]]:
    """Datasets loaded before a release in use of genes, landmarks or compounds was imported, and what to run.

    Returns:
        dataset, source, loaded_at, kinds (of the vocabularies that are newer), run.
    """
    with engine.connect() as connection:
        rows = connection.execute(text(_STALE), {"kinds": list(DECIDE)}).mappings()
        return [dict(row) | {"run": f"pbdb etl load {row['source']} --dataset {row['dataset']}"} for row in rows]


def entries(engine: Engine, name: str | None = None) -> list[dict[str, Any]]:
    """Read the ledger, newest entry first; of one dataset, of the datasets of one source, or of all."""
    query = select(EtlRun.__table__).order_by(EtlRun.etl_run_id.desc())
    if name is not None:
        query = query.where(or_(EtlRun.dataset == name, EtlRun.source == name))
    with engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


DECIDE = ("genes", "hgnc", "landmarks", "pubchem", "repurposing_hub", "moabox", "tahoe_drugs", "sciplex_drugs")
"""Kinds of vocabularies that decide what a load makes; contexts and names are labelled anew by themselves."""
_STALE = """
SELECT d.dataset, d.source, l.loaded_at, array_agg(v.kind ORDER BY v.kind) AS kinds
FROM core.dataset d
JOIN (
    SELECT r.dataset, max(r.finished_at) AS loaded_at FROM core.etl_run r
    WHERE r.stage = 'validate' AND r.status = 'done' GROUP BY r.dataset
) l ON l.dataset = d.dataset
JOIN core.vocabulary v ON v.is_current AND v.kind = ANY (:kinds) AND v.imported_at > l.loaded_at
GROUP BY 1, 2, 3 ORDER BY 1"""
