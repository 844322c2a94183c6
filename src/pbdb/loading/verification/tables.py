"""What is loaded of one dataset, read by plain SQL: the one place of this package that knows tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from psycopg import Connection

from pbdb.database import copy_binary

BYTES_PER_BLOCK = 32 << 20
BY_EFFECT = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")
# Beside p values of counts: those of limma; null in other fits.
OF_LIMMA = ("neg_log10_p_limma", "neg_log10_p_adj_limma")
BY_GENE = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")

Floats32 = npt.NDArray[np.float32]

_OWN = "d.dataset_id = %(dataset_id)s"
# The key of a row first, then the parts of its natural key, in the order in which they are hashed.
NATURAL_KEYS = {
    "dataset": f"SELECT d.dataset_id, d.dataset FROM core.dataset d WHERE {_OWN}",
    "assay": "SELECT assay_id, a.technology, a.readout"
    f" FROM core.assay a JOIN core.dataset d USING (assay_id) WHERE {_OWN}",
    "context": "SELECT context_id, context FROM core.context WHERE context_id IN"
    f" (SELECT context_id FROM core.sample d WHERE {_OWN})",
    "compound": "SELECT compound_id, inchikey FROM core.compound WHERE compound_id IN"
    f" (SELECT compound_id FROM core.source_compound d WHERE {_OWN})",
    "source_compound": "SELECT s.source_compound_id, d.dataset, s.source_key"
    f" FROM core.source_compound s JOIN core.dataset d USING (dataset_id) WHERE {_OWN}",
    "compound_annotation": "SELECT a.annotation_id, a.source_compound_id, a.kind, a.value, a.origin"
    f" FROM core.compound_annotation a JOIN core.source_compound d USING (source_compound_id) WHERE {_OWN}",
    "plate": "SELECT p.plate_id, d.dataset, p.plate"
    f" FROM core.plate p JOIN core.dataset d USING (dataset_id) WHERE {_OWN}",
    "sample": "SELECT s.sample_id, d.dataset, s.source_sample"
    f" FROM core.sample s JOIN core.dataset d USING (dataset_id) WHERE {_OWN}",
    "condition": "SELECT c.condition_id, d.dataset, s.source_key, x.context, c.dose_fm, c.time_h, c.stratum"
    " FROM core.condition c JOIN core.dataset d USING (dataset_id)"
    " JOIN core.source_compound s USING (source_compound_id)"
    f" JOIN core.context x ON x.context_id = c.context_id WHERE {_OWN}",
    "effect": f"SELECT d.effect_id, d.fit_id, d.condition_id, d.sample_id FROM core.effect d WHERE {_OWN}",
}
_TABLES = {
    "sample": "SELECT sample_id, source_sample, plate_id, condition_id, context_id, time_h, stratum, is_vehicle"
    f" FROM core.sample d WHERE {_OWN}",
    "condition": "SELECT condition_id, context_id, time_h, stratum, is_vehicle, n_samples"
    f" FROM core.condition d WHERE {_OWN}",
    "fit": "SELECT d.*, x.context, s.gene_keys, s.n_genes FROM core.fit d JOIN core.context x USING (context_id)"
    f" JOIN core.feature_set s USING (feature_set_id) WHERE {_OWN} ORDER BY x.context, d.stratum, d.fit_id",
    "ledger": "SELECT r.etl_run_id, r.stage, r.fingerprint, r.rows_in, r.rows_out, r.dropped, r.report"
    f" FROM core.etl_run r JOIN core.dataset d USING (dataset) WHERE {_OWN} AND r.status = 'done'"
    " ORDER BY r.etl_run_id",
    "artifact": "SELECT a.path, a.sha256 FROM core.artifact a JOIN core.dataset d USING (dataset)"
    f" WHERE {_OWN} AND a.kind = 'samples_h5ad'",
    "dataset": f"SELECT * FROM core.dataset d WHERE {_OWN}",
}
# Effects whose signature, as search reads it, is missing, too many or another than that of the effect.
_ASTRAY = """
SELECT coalesce(e.effect_id, s.effect_id) AS effect_id
FROM (
    SELECT d.effect_id, d.fit_id, d.condition_id, d.landmark_t
    FROM core.effect d JOIN core.fit f ON f.fit_id = d.fit_id AND f.is_default
    WHERE d.dataset_id = %(dataset_id)s AND d.landmark_t IS NOT NULL
) e
FULL JOIN (SELECT s.* FROM core.signature s WHERE s.dataset_id = %(dataset_id)s) s ON s.effect_id = e.effect_id
WHERE (e.fit_id, e.condition_id) IS DISTINCT FROM (s.fit_id, s.condition_id)
   OR e.landmark_t IS DISTINCT FROM s.landmark_t
ORDER BY 1"""
_FIT_SAMPLES = """
SELECT f.sample_id, f.role, s.source_sample, s.plate_id, s.condition_id, s.time_h, s.is_vehicle
FROM core.fit_sample f LEFT JOIN core.sample s ON s.dataset_id = %(dataset_id)s AND s.sample_id = f.sample_id
WHERE f.fit_id = %(fit_id)s ORDER BY f.sample_id"""
_EFFECTS = f"""
SELECT effect_id, condition_id, sample_id, status, n_treated, n_vehicle, n_plates, n_vehicle_same_plates,
    n_genes, n_up, n_down, n_up_fit, n_down_fit,
    {" AND ".join(f"coalesce(cardinality({name}), 0) = %(n_genes)s" for name in BY_EFFECT)} AS is_complete
FROM core.effect WHERE dataset_id = %(dataset_id)s AND fit_id = %(fit_id)s"""
_GENES = f"""
SELECT gene_key, {" AND ".join(f"cardinality({name}) = %(n_effects)s" for name in BY_GENE)} AS is_complete
FROM core.gene_effect WHERE dataset_id = %(dataset_id)s AND fit_id = %(fit_id)s"""
_EFFECT_ARRAYS = """
COPY (SELECT {columns}
    FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY k (key, place)
    JOIN core.effect e ON e.dataset_id = %(dataset_id)s AND e.fit_id = %(fit_id)s AND e.effect_id = k.key
    ORDER BY k.place) TO STDOUT (FORMAT binary)"""
_GENE_ARRAYS = f"""
COPY (SELECT {", ".join(f"e.{name}" for name in BY_GENE)}
    FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY k (key, place)
    JOIN core.gene_effect e ON e.dataset_id = %(dataset_id)s AND e.fit_id = %(fit_id)s AND e.gene_key = k.key
    ORDER BY k.place) TO STDOUT (FORMAT binary)"""

_LANDMARKS = "SELECT gene_key, landmark_index FROM core.gene WHERE landmark_index IS NOT NULL"
_LANDMARK_VECTORS = """
SELECT effect_id, n_landmarks, landmark_t::real[] FROM core.effect
WHERE dataset_id = %(dataset_id)s AND fit_id = %(fit_id)s AND effect_id = ANY(%(keys)s)"""


def datasets(connection: Connection[Any]) -> dict[str, int]:
    """Names and keys of all datasets."""
    return dict(connection.execute("SELECT dataset, dataset_id FROM core.dataset ORDER BY dataset").fetchall())


@dataclass(frozen=True)
class Loaded:
    """One dataset in the database, as one transaction sees it."""

    connection: Connection[Any]
    dataset: str
    dataset_id: int

    def natural_keys(self, table: str) -> list[tuple[Any, ...]]:
        """Rows of a table that belong to the dataset: id, then the parts of the natural key."""
        return self.connection.execute(NATURAL_KEYS[table], {"dataset_id": self.dataset_id}).fetchall()

    def table(self, name: str) -> pd.DataFrame:
        """One of sample, condition, fit, ledger, artifact, dataset."""
        return self._frame(_TABLES[name])

    def fit_samples(self, fit_id: int) -> pd.DataFrame:
        """The samples of a fit with their roles, by id; columns of table `sample` are null where it lacks them."""
        return self._frame(_FIT_SAMPLES, fit_id=fit_id)

    def effects(self, fit_id: int, n_genes: int) -> pd.DataFrame:
        """The effects of a fit without their arrays; is_complete: all arrays have n_genes values."""
        return self._frame(_EFFECTS, fit_id=fit_id, n_genes=n_genes)

    def signatures_astray(self) -> list[int]:
        """Effects whose copy in table `signature` is missing or another, or that should have none."""
        return [int(key) for key in self._frame(_ASTRAY)["effect_id"]]

    def genes(self, fit_id: int, n_effects: int) -> pd.DataFrame:
        """The genes of a fit in gene_effect; is_complete: all arrays have n_effects values."""
        return self._frame(_GENES, fit_id=fit_id, n_effects=n_effects)

    def effect_arrays(
        self, fit_id: int, names: Sequence[str], ids: Sequence[int], n_genes: int
    ) -> Iterator[tuple[slice, dict[str, Floats32]]]:
        """Named arrays of some effects in their order, each effects x genes, block by block."""
        query = _EFFECT_ARRAYS.format(columns=", ".join(f"e.{name}" for name in names))
        return self._arrays(query, names, fit_id, ids, n_genes)

    def gene_arrays(
        self, fit_id: int, keys: Sequence[int], n_effects: int
    ) -> Iterator[tuple[slice, dict[str, Floats32]]]:
        """Arrays of BY_GENE of some genes in their order, each genes x effects, block by block."""
        return self._arrays(_GENE_ARRAYS, BY_GENE, fit_id, keys, n_effects)

    def landmarks(self) -> dict[int, int]:
        """Place of each landmark gene in the vectors."""
        return dict(self.connection.execute(_LANDMARKS).fetchall())

    def landmark_vectors(
        self, fit_id: int, keys: Sequence[int]
    ) -> dict[int, tuple[int | None, npt.NDArray[np.float64] | None]]:
        """Number of landmarks and vector of some effects."""
        values = {"dataset_id": self.dataset_id, "fit_id": fit_id, "keys": list(keys)}
        rows = self.connection.execute(_LANDMARK_VECTORS.encode(), values).fetchall()
        return {key: (n, None if vector is None else np.array(vector, np.float64)) for key, n, vector in rows}

    def _arrays(
        self, query: str, names: Sequence[str], fit_id: int, keys: Sequence[int], length: int
    ) -> Iterator[tuple[slice, dict[str, Floats32]]]:
        empty = {name: np.empty((0, length), dtype=np.float32) for name in names}
        step = max(1, BYTES_PER_BLOCK // (8 * len(names) * max(1, length)))
        for start in range(0, len(keys), step):
            rows = slice(start, min(start + step, len(keys)))
            values = {"dataset_id": self.dataset_id, "fit_id": fit_id, "keys": [int(key) for key in keys[rows]]}
            with self.connection.cursor() as cursor, cursor.copy(query.encode(), values) as copy:
                block = copy_binary.decode(b"".join(bytes(part) for part in copy), empty)
            yield rows, {name: copy_binary.values(block, name).astype(np.float32) for name in names}

    def _frame(self, query: str, **values: Any) -> pd.DataFrame:
        with self.connection.cursor() as cursor:
            cursor.execute(query.encode(), {"dataset_id": self.dataset_id, **values})
            names = [column.name for column in cursor.description or ()]
            return pd.DataFrame(cursor.fetchall(), columns=names)
