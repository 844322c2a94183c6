"""Effects as Parquet: one file per fit, one row per condition, statistics as lists over the fit's genes.

Numbers come by COPY BINARY and become columns without a loop over rows: one thread reads, one encodes and writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pbdb.common.errors import SnapshotError
from pbdb.common.progress import Progress
from pbdb.database import copy_binary
from pbdb.database.effect_arrays import BY_EFFECT, N_LANDMARKS, OF_LIMMA
from pbdb.exports.snapshots import parquet
from pbdb.exports.snapshots.arrow_schemas import Words, described
from pbdb.exports.snapshots.database_state import Frozen
from pbdb.exports.snapshots.parquet import Written

BYTES_PER_GROUP = 64 << 20
T = TypeVar("T")
DEFAULT, FURTHER = "effect", "further_effect"
LANDMARK_T = "landmark_t"
FLOATS = (*BY_EFFECT, *OF_LIMMA, LANDMARK_T)

_LISTS = [(name, pa.list_(pa.float32())) for name in FLOATS]
SCHEMA = pa.schema(
    [(name, pa.int64()) for name in ("effect_id", "dataset_id", "fit_id", "feature_set_id")]
    + [(name, pa.string()) for name in ("method", "mode")]
    + [(name, pa.int64()) for name in ("condition_id", "sample_id")]
    + [(name, pa.string()) for name in ("compound_name", "source_compound_name", "inchikey", "parent_inchikey")]
    + [("context_name", pa.string()), ("dose_um", pa.float64()), ("time_h", pa.float64()), ("stratum", pa.string())]
    + [("status", pa.string())]
    + [(name, pa.int32()) for name in ("n_treated", "n_vehicle", "n_plates", "n_vehicle_same_plates", "n_genes")]
    + [("prior_var", pa.float64())]
    + [(name, pa.int32()) for name in ("n_up", "n_down", "n_up_fit", "n_down_fit", "n_landmarks")]
    + [("null_spread", pa.float32())]
    + _LISTS
)
FACTS = [name for name in SCHEMA.names if name not in FLOATS]


@dataclass(frozen=True)
class Fit:
    """A fit whose effects are exported."""

    fit_id: int
    dataset_id: int
    dataset: str
    context: str
    is_default: bool
    n_genes: int

    def path(self, folder: str | None = None) -> str:
        """Where its file lies below the snapshot: in hive partitions, the colon of the context percent-encoded."""
        top = folder or (DEFAULT if self.is_default else FURTHER)
        return f"{top}/dataset={self.dataset}/context={quote(self.context, safe='')}/{self.fit_id}.parquet"


def fits(frozen: Frozen) -> list[Fit]:
    """The fits of the chosen datasets that have effects, in the order of their files."""
    exported = [Fit(**row) for row in frozen.rows(_FITS)]
    return sorted(exported, key=lambda fit: fit.path())


def facts_of(frozen: Frozen, fit: Fit) -> pa.Table:
    """All of a fit's effects but their numbers, in the order of the file; n_arrays, has_landmark_t, version beside."""
    return frozen.table(_FACTS.format(fit=fit.fit_id, dataset=fit.dataset_id)).combine_chunks()


def key_of(facts: pa.Table, fit: Fit) -> str:
    """A hash of all that the fit's file will hold: of the rows' versions, where the numbers are."""
    sink = pa.BufferOutputStream()
    # Parquet, for what Arrow keeps in memory under a null is anything.
    pq.write_table(facts, sink, compression="none")
    return hashlib.sha256(f"{fit}".encode() + sink.getvalue()).hexdigest()


def write(
    frozen: Frozen, wanted: Callable[[Fit, str], bool], root: Path, words: Words, progress: Progress
) -> Generator[tuple[Fit, str, Written]]:
    """Write the effects of every fit that is wanted by its key; give fit, key and file as they are done.

    Raises:
        SnapshotError: an effect has part of its arrays only.
        DataError: its arrays are of another length than its fit has genes.
    """
    schema = described(SCHEMA, "effect", words)
    packed = Packed()
    with closing(ahead(_parts(frozen, wanted))) as parts:
        for (fit, key), of_fit in groupby(parts, key=lambda part: (part.fit, part.key)):
            with parquet.written(root, fit.path(), schema, FLOATS) as (table, done):
                for part in of_fit:
                    if part.facts.num_rows or not table.rows:
                        table.add(packed.table(part))
                    progress(fit.path(), table.rows, None)
            yield fit, key, done[0]


class Part(NamedTuple):
    """Some effects of a fit: their facts, and their numbers where they have any."""

    fit: Fit
    key: str
    facts: pa.Table
    block: npt.NDArray[Any] | None


def _parts(frozen: Frozen, wanted: Callable[[Fit, str], bool]) -> Generator[Part]:
    """Of every wanted fit its effects with numbers, then those without (which may be none)."""
    decoder = copy_binary.Decoder()
    for fit in fits(frozen):
        facts = facts_of(frozen, fit)
        key = key_of(facts, fit)
        if wanted(fit, key):
            place = 0
            for block in _blocks(frozen, fit, facts, decoder):
                yield Part(fit, key, facts.slice(place, len(block)), block)
                place += len(block)
            yield Part(fit, key, facts.slice(place), None)


def ahead(source: Generator[T]) -> Generator[T]:
    """Read one thing ahead, in a thread of its own."""
    with closing(source), ThreadPoolExecutor(1) as reader:
        coming: Future[T | None] = reader.submit(next, source, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, source, None)
            yield item


def _n_full(facts: pa.Table, fit: Fit) -> int:
    """Effects that have numbers; they come first."""
    n_arrays = facts["n_arrays"].to_numpy()
    n_full = int((n_arrays == len(BY_EFFECT)).sum())
    if (n_full and fit.n_genes == 0) or np.any(n_arrays[n_full:] != 0):
        raise SnapshotError(
            f"Fit {fit.fit_id} of '{fit.dataset}' has an effect with part of its statistics: refit it.",
            dataset=fit.dataset,
            value=fit.fit_id,
        )
    return n_full


def _blocks(frozen: Frozen, fit: Fit, facts: pa.Table, decoder: copy_binary.Decoder) -> Iterator[npt.NDArray[Any]]:
    """Numbers of the effects that have any, in the order of the facts."""
    n_rows = _n_full(facts, fit)
    if n_rows == 0:
        return
    empty: dict[str, npt.NDArray[Any]] = {name: np.empty((0, fit.n_genes), np.float32) for name in BY_EFFECT}
    if pc.any(facts["has_limma"]).as_py():
        empty |= {name: np.empty((0, fit.n_genes), np.float32) for name in OF_LIMMA}
    if pc.any(facts["has_landmark_t"]).as_py():
        empty[LANDMARK_T] = np.empty((0, N_LANDMARKS), np.float16)
    columns = ", ".join(_AS_SENT.get(name, f"e.{name}") for name in empty)
    rows_at_once = max(1, BYTES_PER_GROUP // (4 * fit.n_genes * len(FLOATS)))
    command = _NUMBERS.format(columns=columns, fit=fit.fit_id, dataset=fit.dataset_id)
    with frozen.main.cursor() as cursor, cursor.copy(command) as copy:
        yield from decoder.blocks(copy, empty, min(n_rows, rows_at_once))


class Packed:
    """Parts as Arrow tables, one after the other in the same memory: each is good until the next."""

    def __init__(self) -> None:
        self._memory: dict[str, npt.NDArray[np.float32]] = {}

    def table(self, part: Part) -> pa.Table:
        """Put facts and numbers of some effects side by side."""
        lists = [self._lists(part, name) for name in FLOATS]
        return pa.table([*(part.facts[name] for name in FACTS), *lists], schema=SCHEMA)

    def _lists(self, part: Part, name: str) -> pa.Array:
        if part.block is None or name not in (part.block.dtype.names or ()):
            return pa.nulls(part.facts.num_rows, SCHEMA.field(name).type)
        numbers = copy_binary.values(part.block, name)
        held = self._memory.get(name)
        if held is None or held.size < numbers.size:
            held = self._memory[name] = np.empty(numbers.size, dtype=np.float32)
        held[: numbers.size].reshape(numbers.shape)[...] = numbers
        offsets = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(numbers.shape[1])
        absent = pc.invert(part.facts["has_landmark_t"]).combine_chunks() if name == LANDMARK_T else None
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(held[: numbers.size]), mask=absent)


# An effect without signature stands in the middle of those with one: zeros are sent, and made null here.
_AS_SENT = {LANDMARK_T: f"coalesce(e.landmark_t, array_fill(0::real, ARRAY[{N_LANDMARKS}])::halfvec)"}
_FITS = """
SELECT f.fit_id, f.dataset_id, d.dataset, x.context, f.is_default, s.n_genes
FROM pg_temp.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.feature_set s ON s.feature_set_id = f.feature_set_id
WHERE EXISTS (SELECT FROM core.effect e WHERE e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id)"""
_ORDER = """
LEFT JOIN (
    SELECT u.effect_id, u.place
    FROM core.fit g CROSS JOIN LATERAL unnest(g.effect_ids) WITH ORDINALITY u (effect_id, place)
    WHERE g.fit_id = {fit}
) o ON o.effect_id = e.effect_id
WHERE e.dataset_id = {dataset} AND e.fit_id = {fit}"""
_FACTS = f"""
SELECT
    e.effect_id, e.dataset_id, e.fit_id, f.feature_set_id, f.method, f.mode, e.condition_id, e.sample_id,
    s.compound_name, s.name AS source_compound_name, k.inchikey, k.parent_inchikey, x.context_name, c.dose_um, c.time_h,
    c.stratum, e.status, e.n_treated, e.n_vehicle, e.n_plates, e.n_vehicle_same_plates, e.n_genes, e.prior_var, e.n_up,
    e.n_down, e.n_up_fit, e.n_down_fit, e.n_landmarks, e.null_spread,
    num_nonnulls(e.log2_fc, e.se, e.neg_log10_p, e.neg_log10_p_adj) AS n_arrays,
    e.landmark_t IS NOT NULL AS has_landmark_t, e.neg_log10_p_limma IS NOT NULL AS has_limma,
    concat_ws(' ', e.tableoid, e.xmin, e.ctid) AS version
FROM part.effect e
JOIN core.generation n ON n.dataset_id = e.dataset_id AND n.generation = e.generation AND n.is_current
JOIN core.fit f ON f.fit_id = e.fit_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
{_ORDER}
ORDER BY e.log2_fc IS NULL, o.place, e.effect_id"""
_NUMBERS = f"""
COPY (SELECT {{columns}} FROM core.effect e {_ORDER} AND e.log2_fc IS NOT NULL ORDER BY o.place, e.effect_id)
TO STDOUT (FORMAT binary)"""
