"""manifest.json: what a snapshot holds, under which terms, how it was computed, and the hash of every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pbdb.common.errors import SnapshotError
from pbdb.common.rows import Row
from pbdb.common.version import __version__
from pbdb.database import schema, views
from pbdb.exports.snapshots import manifest_shape
from pbdb.exports.snapshots.database_state import Frozen
from pbdb.exports.snapshots.manifest_shape import Manifest, SchemaFacts
from pbdb.exports.snapshots.parquet import Written

NAME = "manifest.json"
SUMS = "SHA256SUMS"
FORMAT = 1
LARGEST = 64 << 20
OF_DATABASE = ("core/", "effect/", "further_effect/")


def facts(frozen: Frozen, release: str, layouts: Sequence[str]) -> Manifest:
    """Everything in the manifest but files and fingerprint."""
    (revision,) = frozen.rows("SELECT version_num FROM core.alembic_version")
    return {
        "format": FORMAT,
        "release": release,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "pbdb_version": __version__,
        "schema": {"revision": revision["version_num"], "views": views.fingerprint()},
        "is_complete": not frozen.left_out,
        "included_by_name": list(frozen.included_by_name),
        "left_out": list(frozen.left_out),
        "layouts": list(layouts),
        "datasets": frozen.rows(_DATASETS),
        "vocabularies": frozen.rows(_VOCABULARIES),
        "genes": _genes(frozen),
        "fits": [row | {"parameters": json.loads(row["parameters"])} for row in frozen.rows(_FITS)],
        "matches": frozen.rows(_MATCHES),
        "agreements": [row | {"parameters": json.loads(row["parameters"])} for row in frozen.rows(_AGREEMENTS)],
    }


def _genes(frozen: Frozen) -> Row:
    """The gene universe: how many genes are known, how many some fit tests, and the hash of the ids of those."""
    tested = [row["gene_id"] for row in frozen.rows(_TESTED)]
    (known,) = frozen.rows("SELECT count(*) AS n FROM pg_temp.gene")
    digest = hashlib.sha256("\n".join(tested).encode()).hexdigest()
    return {"n": known["n"], "n_tested": len(tested), "sha256": digest}


def fingerprint(files: Iterable[Written]) -> str:
    """SHA-256 over hashes and paths of the Parquet files that hold the database itself."""
    lines = sorted(f"{file.sha256}  {file.path}\n" for file in files if file.path.startswith(OF_DATABASE))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write(root: Path, content: Manifest) -> None:
    """Write manifest.json."""
    (root / NAME).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def own_schema() -> SchemaFacts:
    """What `schema` says in a manifest that this version writes."""
    return {"revision": schema.head(), "views": views.fingerprint()}


def read(folder: Path) -> Manifest:
    """Read the manifest of a snapshot, which may come from anybody.

    Raises:
        SnapshotError: the folder holds no snapshot, a damaged manifest, one of a later format, or a way out of it: a
            path or a link that leads elsewhere.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise SnapshotError(
            f"'{folder}' is no snapshot: it has no {NAME}, which is the last file that is written.", file=str(folder)
        )
    out = manifest_shape.way_out(Path(folder))
    if out is not None:
        raise SnapshotError(
            f"'{out}' is a link that leads out of the snapshot, or no file at all: a snapshot stands alone, so take it"
            " anew from where it came.",
            file=str(out),
        )
    content = _with_new_names(_parsed(path))
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise SnapshotError(
            f"'{folder}' has format {version}, this version of pbdb reads {FORMAT}: use a newer pbdb.",
            file=str(folder),
            value=version,
        )
    fault = next(manifest_shape.faults(content), None)
    if fault:
        raise SnapshotError(
            f"'{path}' is damaged ({fault}): take the snapshot anew from where it came.", file=str(path)
        )
    read_in: Manifest = content
    return read_in


def _with_new_names(content: Any) -> Any:
    """What snapshots of before call `licence`, under the name of this version."""
    datasets = content.get("datasets") if isinstance(content, dict) else None
    for dataset in datasets if isinstance(datasets, list) else []:
        if isinstance(dataset, dict) and "licence" in dataset:
            dataset.setdefault("license", dataset.pop("licence"))
    return content


def _parsed(path: Path) -> Any:
    if path.stat().st_size > LARGEST:
        raise SnapshotError(
            f"'{path}' has more than {LARGEST >> 20} MB, which no manifest has: it is damaged.", file=str(path)
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise SnapshotError(
            f"'{path}' is damaged: take the snapshot anew from where it came.", file=str(path)
        ) from None
    except OSError as problem:
        raise SnapshotError(f"'{path}' cannot be read: {problem.strerror}.", file=str(path)) from None


_DATASETS = """
SELECT
    d.dataset, d.title, d.source, d.release, a.technology, a.readout, d.license, d.citation, d.doi,
    d.homepage, d.access, d.is_redistributable, d.is_non_commercial, d.is_simulated, d.fingerprint,
    (SELECT count(*) FROM core.condition c WHERE c.dataset_id = d.dataset_id) AS n_conditions,
    (SELECT count(*) FROM core.sample s WHERE s.dataset_id = d.dataset_id) AS n_samples,
    (SELECT count(*) FROM core.effect e WHERE e.dataset_id = d.dataset_id) AS n_effects
FROM pg_temp.dataset d
JOIN core.assay a ON a.assay_id = d.assay_id
ORDER BY d.dataset COLLATE "C" """
_VOCABULARIES = (
    'SELECT kind, release, sha256, n_rows, is_current FROM pg_temp.vocabulary ORDER BY kind COLLATE "C", release'
)
_TESTED = """
SELECT DISTINCT g.gene_id COLLATE "C" AS gene_id FROM pg_temp.fit f
JOIN core.feature_set s ON s.feature_set_id = f.feature_set_id
CROSS JOIN LATERAL unnest(s.gene_keys) u (gene_key) JOIN core.gene g ON g.gene_key = u.gene_key ORDER BY 1"""
_FITS = """
SELECT
    f.fit_id, d.dataset, x.context, f.stratum, f.method, f.mode, f.is_default, cardinality(f.effect_ids) AS n_effects,
    s.n_genes, f.feature_set_id, f.code_version, f.parameters::text AS parameters
FROM pg_temp.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.feature_set s ON s.feature_set_id = f.feature_set_id
ORDER BY d.dataset COLLATE "C", x.context COLLATE "C", f.fit_id"""
_MATCHES = """
SELECT m.inchikey_level, m.time_tolerance_h, count(*) AS n FROM pg_temp.match m GROUP BY 1, 2 ORDER BY 1, 2"""
_AGREEMENTS = """
SELECT DISTINCT ON (u.parameters_id) u.parameters_id, u.parameters::text AS parameters
FROM pg_temp.agreement_summary u ORDER BY 1"""
