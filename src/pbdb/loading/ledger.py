"""The ledger: one row for each stage of a load that did work."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, or_, select, text

from pbdb.common import memory
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.database.copy_text import as_json
from pbdb.database.models import Artifact, EtlRun
from pbdb.database.stage_names import Stage
from pbdb.identity.vocabulary import deciding
from pbdb.identity.vocabulary.genes import GENES
from pbdb.identity.vocabulary.genes import KINDS as GENE_KINDS
from pbdb.sources import names as source_names
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

    def as_row(self) -> Row:
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


def stale(engine: Engine) -> list[Row]:
    """Datasets that a load would make of other vocabularies than those it was made of, and what to run.

    Content counts, not time: a file imported again, or a release put to use again, makes nothing stale. Of loads that
    did not keep which vocabularies they used, one imported later counts.

    Returns:
        dataset, source, loaded_at, kinds (of the vocabularies that are others), run.
    """
    with engine.connect() as connection:
        loads = connection.execute(text(_LOADS)).mappings().all()
        listed = connection.execute(text(_IN_USE)).mappings().all()
        in_use = {row["kind"]: row for row in listed}
        now = deciding.in_use(connection)
    found = []
    for row in loads:
        later = [kind for kind in sorted(in_use) if in_use[kind]["imported_at"] > row["loaded_at"]]
        kinds = _changed(row["used"], now, later)
        if kinds:
            run = f"pbdb etl load {source_names.argument(row['source'])} --dataset {row['dataset']}"
            found.append(
                {**{name: row[name] for name in ("dataset", "source", "loaded_at")}, "kinds": kinds, "run": run}
            )
    return found


def _changed(
    used: Mapping[str, Sequence[str] | None] | None, now: Mapping[str, Sequence[str] | None], later: Sequence[str]
) -> list[str]:
    """Kinds of vocabularies that are others than a load used; what is added to genes is named by its own kind."""
    of_genes = [kind for kind in later if kind in GENE_KINDS]
    if used is None:
        return [*of_genes, *(kind for kind in later if kind in now and kind not in GENE_KINDS)]
    changed = [kind for kind, release in now.items() if list(release or ()) != list(used.get(kind) or ())]
    return [one for kind in changed for one in ((of_genes or [kind]) if kind == GENES else [kind])]


def entries(engine: Engine, name: str | None = None) -> list[Row]:
    """Read the ledger, newest entry first; of one dataset, of the datasets of one source, or of all."""
    query = select(EtlRun.__table__).order_by(EtlRun.etl_run_id.desc())
    if name is not None:
        query = query.where(or_(EtlRun.dataset == name, EtlRun.source == name))
    with engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


_LOADS = """
SELECT d.dataset, d.source, r.finished_at AS loaded_at, r.report->'vocabularies' AS used
FROM core.dataset d
JOIN LATERAL (
    SELECT e.finished_at, e.report FROM core.etl_run e
    WHERE e.dataset = d.dataset AND e.fingerprint = d.fingerprint AND e.stage = 'extract' AND e.status = 'done'
    ORDER BY e.etl_run_id DESC LIMIT 1
) r ON true
ORDER BY d.dataset"""
_IN_USE = "SELECT kind, imported_at FROM core.vocabulary WHERE is_current"
