"""The table of effects that `pbdb de run` writes: one row per effect and gene, streamed to Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.arrays import Floats
from pbdb.common.output_files import Unfinished
from pbdb.effects.engine import OK

GENE_SYMBOL = "gene_symbol"
TEXT = ("condition", "compound", "context", "gene", GENE_SYMBOL, "status")
WHOLE = ("n_treated", "n_vehicle", "n_plates")
BY_GENE = ("ave_expr", "sigma", "s2_post", "df_prior", "df_total")
OF_LIMMA = ("p_value_limma", "p_adj_limma")
BY_VALUE = ("log2_fc", "se", "t", "p_value", "p_adj", "p_adj_fit", "b", "stdev_unscaled", *OF_LIMMA)
COLUMNS = (
    "condition", "compound", "dose_um", "time_h", "context", "gene", "status", "log2_fc", "se", "t", "df_total",
    "p_value", "p_adj", "p_adj_fit", "ave_expr", "b", "stdev_unscaled", "sigma", "s2_post", "df_prior",
    "n_treated", "n_vehicle", "n_plates", *OF_LIMMA,
)  # fmt: skip
SAMPLE = "sample_id"
OF_EFFECT = ("condition", "compound", "dose_um", "time_h", "context", *WHOLE, SAMPLE)
ROWS_PER_GROUP = 1_000_000


def schema(with_samples: bool, with_symbols: bool = False) -> pa.Schema:
    """Return the columns; replicate effects also carry the sample they are of, ids of genes their symbols."""
    names = [*COLUMNS, SAMPLE] if with_samples else list(COLUMNS)
    if with_symbols:
        names.insert(names.index("gene") + 1, GENE_SYMBOL)
    return pa.schema([(name, _kind(name)) for name in names])


def _kind(name: str) -> pa.DataType:
    if name in TEXT or name == SAMPLE:
        return pa.dictionary(pa.int32(), pa.string())
    return pa.int32() if name in WHOLE else pa.float64()


@dataclass(frozen=True)
class Values:
    """Statistics of consecutive genes: names, arrays by gene, and arrays genes x effects; absent ones are null."""

    genes: npt.NDArray[np.object_]
    by_gene: Mapping[str, Floats]
    by_value: Mapping[str, Floats]


class EffectTable:
    """Write effects to a Parquet file, which gets its name only when all of it is written.

    Row order: fit by fit as added; in a fit gene by gene as tested, for each gene the effects in their order; at
    the end of each fit one row for every effect without numbers, its status saying why. symbols: of genes, by name.
    """

    def __init__(self, path: Path, *, with_samples: bool, symbols: Mapping[str, str] | None = None):
        self._file = Unfinished(path)
        self._symbols = symbols or {}
        self._schema = schema(with_samples, with_symbols=bool(symbols))
        repeated = [name for name in self._schema.names if name not in BY_VALUE]
        self._writer = pq.ParquetWriter(
            self._file.path,
            self._schema,
            compression="zstd",
            use_dictionary=repeated,
            use_byte_stream_split=list(BY_VALUE),  # type: ignore[arg-type,unused-ignore]
            store_schema=False,  # text is read back as plain text
        )
        self.n_rows = 0

    def __enter__(self) -> EffectTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            self._writer.close()
            if kind is None:
                self._file.finish()
        finally:
            self._file.abandon()

    def add(self, effects: pd.DataFrame, values: Values) -> None:
        """Append genes x effects; `effects` has OF_EFFECT columns, one row per column of the arrays."""
        at_once = max(1, ROWS_PER_GROUP // max(1, len(effects)))
        for start in range(0, len(values.genes), at_once):
            some = slice(start, start + at_once)
            columns = _numbers(effects, values, some, self._schema)
            if self._symbols:
                named = [self._symbols.get(gene) for gene in values.genes[some]]
                columns[GENE_SYMBOL] = _of_gene(named, len(effects))
            self._write(columns)

    def add_without_numbers(self, effects: pd.DataFrame) -> None:
        """Append effects that have a status and no numbers, one row each."""
        if len(effects):
            kept = [name for name in self._schema.names if name in effects]
            columns = {name: _of_effect(effects, name, 1) for name in kept}
            self._write(columns)

    def _write(self, columns: Mapping[str, pa.Array]) -> None:
        n_rows = len(next(iter(columns.values())))
        arrays = [
            columns[field.name] if field.name in columns else pa.nulls(n_rows, field.type) for field in self._schema
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self.n_rows += n_rows


def _numbers(effects: pd.DataFrame, values: Values, genes: slice, wanted: pa.Schema) -> dict[str, pa.Array]:
    names = values.genes[genes]
    columns = {name: _of_effect(effects, name, len(names)) for name in OF_EFFECT if name in wanted.names}
    columns["gene"] = _of_gene(names, len(effects))
    ok = np.zeros(len(names) * len(effects), dtype=np.int32)
    columns["status"] = pa.DictionaryArray.from_arrays(ok, pa.array([OK]))
    for name, statistic in values.by_gene.items():
        columns[name] = _floats(np.repeat(statistic[genes], len(effects)))
    for name, many in values.by_value.items():
        columns[name] = _floats(np.ascontiguousarray(many[genes]).ravel())
    return columns


def _of_gene(names: Sequence[str | None] | npt.NDArray[np.object_], n_effects: int) -> pa.Array:
    """Return a column of facts of genes, each once for every effect."""
    places = np.repeat(np.arange(len(names), dtype=np.int32), n_effects)
    absent = np.repeat(np.array([name is None for name in names], dtype=bool), n_effects)
    return pa.DictionaryArray.from_arrays(
        pa.array(places, mask=absent), pa.array([name or "" for name in names], pa.string())
    )


def _of_effect(effects: pd.DataFrame, name: str, n_genes: int) -> pa.Array:
    """Return a column of facts of effects, the whole list of them once for each gene."""
    column = effects[name]
    if name in TEXT or name == SAMPLE:
        codes, labels = pd.factorize(column)
        tiled = np.tile(codes.astype(np.int32), n_genes)
        return pa.DictionaryArray.from_arrays(pa.array(tiled, mask=tiled < 0), pa.array(labels, pa.string()))
    if name in WHOLE:
        return pa.array(np.tile(column.to_numpy(np.int32), n_genes))
    return _floats(np.tile(column.to_numpy(np.float64), n_genes))


def _floats(values: Floats) -> pa.Array:
    """Return a column in which what could not be estimated is null."""
    return pa.array(values, from_pandas=True)
