"""Made-up effects written straight into the database, without samples: for trials of matching and agreement.

Every dataset gets one default fit for each of its contexts. Compounds and contexts are shared by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import log_ndtr
from sqlalchemy import Connection, Engine, text

from pbdb import __version__
from pbdb.common.ids import stable_id, stable_ids
from pbdb.database import copy_binary, partitions
from pbdb.database.copy_text import copy_frame, cursor, insert_new
from pbdb.identity.genes.resolve import gene_id_of

Values = npt.NDArray[np.float32]
Block = tuple[dict[str, copy_binary.Value], int]
ROWS_PER_BLOCK = 4096
TERMS = {"access": "open", "is_redistributable": True, "is_simulated": True}


@dataclass(frozen=True)
class Made:
    """Made-up effects: a row of `conditions` (compound, context, dose_fm, time_h) for each row of the matrices."""

    dataset: str
    conditions: pd.DataFrame
    gene_keys: npt.NDArray[np.int32]
    log2_fc: Values
    se: Values


def neg_log10_p(t: npt.NDArray[np.floating[Any]]) -> Values:
    """-log10 of the two-sided p value of a standard normal."""
    return np.asarray(-(log_ndtr(-np.abs(t.astype(np.float64))) + np.log(2)) / np.log(10), dtype=np.float32)


def adjusted(neg_log10: Values) -> Values:
    """-log10 of p adjusted over each row (Benjamini and Hochberg 1995)."""
    n = neg_log10.shape[1]
    order = np.argsort(-neg_log10, axis=1, kind="stable")
    ranked = np.take_along_axis(neg_log10, order, axis=1) + np.log10(np.arange(1, n + 1) / n)
    ranked = np.maximum.accumulate(ranked[:, ::-1], axis=1)[:, ::-1]
    found = np.empty_like(neg_log10)
    np.put_along_axis(found, order, np.maximum(ranked, 0).astype(np.float32), axis=1)
    return found


def write(engine: Engine, made: Made) -> None:
    """Write a dataset with its conditions, fits and effects in both orientations; it must not be there yet."""
    key = stable_id("dataset", made.dataset)
    with engine.begin() as connection:
        _write_identity(connection, made, key)
        conditions = _write_conditions(connection, made, key)
    table = conditions.assign(fit_id=[stable_id("fit", made.dataset, one) for one in conditions["context"]])
    table["effect_id"] = stable_ids("effect", zip(table["fit_id"], table["condition_id"], strict=True))
    with engine.begin() as connection:
        _write_fits(connection, made, key, table)
    with engine.begin() as connection:
        generation = partitions.new_generation(connection)
        names = {
            name: _write_partition(connection, made, key, table, name, generation)
            for name in ("sample", "effect", "gene_effect")
        }
        partitions.attach(connection, key, generation, names)
        partitions.make_current(connection, key, generation)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        partitions.analyze(connection)
        for name in ("condition", "source_compound", "compound", "fit"):
            connection.exec_driver_sql(f"ANALYZE core.{name}")


def _write_identity(connection: Connection, made: Made, key: int) -> None:
    connection.execute(text("INSERT INTO core.assay VALUES (1, 'simulated', 'counts') ON CONFLICT DO NOTHING"))
    words = dict.fromkeys(("source", "title", "license", "citation", "release"), "simulated")
    prints = {"fingerprint": "simulated", "effects_fingerprint": "simulated"}
    row = {"dataset_id": key, "dataset": made.dataset, "assay_id": 1} | words | TERMS | prints
    copy_frame(connection, "core.dataset", pd.DataFrame([row]))
    names = sorted(made.conditions["compound"].unique())
    ids = stable_ids("compound", zip(names))
    insert_new(connection, "compound", pd.DataFrame({"compound_id": ids, "inchikey": names, "name": names}))
    lines = sorted(made.conditions["context"].unique())
    facts = {"context_id": stable_ids("context", zip(lines)), "context": lines, "context_name": lines}
    insert_new(connection, "context", pd.DataFrame(facts).assign(kind="cell_line", organism="human"))
    genes = {"gene_key": made.gene_keys, "gene_id": [gene_id_of(int(one)) for one in made.gene_keys]}
    insert_new(connection, "gene", pd.DataFrame(genes).assign(status="unchecked"))


def _write_conditions(connection: Connection, made: Made, key: int) -> pd.DataFrame:
    table = made.conditions.reset_index(drop=True)
    names = sorted(table["compound"].unique())
    sources = dict(zip(names, stable_ids("source_compound", ((made.dataset, name) for name in names)), strict=True))
    copy_frame(
        connection,
        "core.source_compound",
        pd.DataFrame(
            {
                "source_compound_id": list(sources.values()),
                "dataset_id": key,
                "source_key": names,
                "name": names,
                "compound_id": stable_ids("compound", zip(names)),
                "resolved_by": "name",
            }
        ),
    )
    keys = table[["compound", "context", "dose_fm", "time_h"]].itertuples(index=False, name=None)
    table["condition_id"] = stable_ids("condition", ((made.dataset, *one) for one in keys))
    table["source_compound_id"] = table["compound"].map(sources)
    table["context_id"] = [stable_id("context", one) for one in table["context"]]
    columns = ["condition_id", "source_compound_id", "context_id", "dose_fm", "time_h"]
    written = table[columns].assign(dataset_id=key, is_vehicle=False, n_samples=2)
    copy_frame(connection, "core.condition", written)
    return table


def _write_fits(connection: Connection, made: Made, key: int, table: pd.DataFrame) -> None:
    features = stable_id("feature_set", *made.gene_keys.tolist())
    genes = {"feature_set_id": [features], "n_genes": [len(made.gene_keys)], "gene_keys": [made.gene_keys.tolist()]}
    insert_new(connection, "feature_set", pd.DataFrame(genes))
    counts = dict.fromkeys(("n_samples", "n_vehicle", "n_plates", "n_components"), 4)
    how = {"method": "voom", "mode": "pooled", "is_default": True, "filter_rule": "floor", "code_version": __version__}
    rows = [
        {"fit_id": fit_id, "dataset_id": key, "context_id": rows["context_id"].iloc[0], "feature_set_id": features}
        | counts
        | how
        | {"n_genes_in": len(made.gene_keys), "parameters": {}, "report": {}, "effect_ids": rows["effect_id"].tolist()}
        | {"condition_ids": rows["condition_id"].tolist()}
        for fit_id, rows in table.groupby("fit_id", sort=True)
    ]
    copy_frame(connection, "core.fit", pd.DataFrame(rows))


def _write_partition(
    connection: Connection, made: Made, key: int, table: pd.DataFrame, name: str, generation: int
) -> str:
    standalone = partitions.create_standalone(connection, name, key, generation)
    blocks = {"effect": _effects, "gene_effect": _gene_effects, "sample": _none}[name](made, key, table)
    for columns, n_rows in blocks:
        command = f"COPY {standalone} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
        with cursor(connection) as opened, opened.copy(command) as copy:
            copy.write(copy_binary.HEADER + copy_binary.rows(columns, n_rows) + copy_binary.TRAILER)
    partitions.finish(connection, name, standalone)
    return standalone


def _none(made: Made, key: int, table: pd.DataFrame) -> Iterator[Block]:
    return iter(())


def _effects(made: Made, key: int, table: pd.DataFrame) -> Iterator[Block]:
    for start in range(0, len(table), ROWS_PER_BLOCK):
        rows = table.iloc[start : start + ROWS_PER_BLOCK]
        yield _effect_block(made, key, rows, start), len(rows)


def _effect_block(made: Made, key: int, rows: pd.DataFrame, start: int) -> dict[str, copy_binary.Value]:
    part = slice(start, start + len(rows))
    log2_fc, se = made.log2_fc[part], made.se[part]
    p = neg_log10_p(log2_fc / se)
    counts = ("n_treated", "n_vehicle", "n_plates", "n_vehicle_same_plates")
    return {
        "dataset_id": key,
        **{name: rows[name].to_numpy(dtype=np.int64) for name in ("effect_id", "fit_id", "condition_id")},
        "status": "ok",
        **{name: np.full(len(rows), 2, np.int32) for name in counts},
        "log2_fc": log2_fc,
        "se": se,
        "neg_log10_p": p,
        "neg_log10_p_adj": adjusted(p),
    }


def _gene_effects(made: Made, key: int, table: pd.DataFrame) -> Iterator[Block]:
    for fit_id, rows in table.reset_index(drop=True).groupby("fit_id", sort=True):
        place = rows.index.to_numpy()
        log2_fc, se = made.log2_fc[place], made.se[place]
        p = neg_log10_p(log2_fc / se)
        layers = {"log2_fc": log2_fc, "se": se, "neg_log10_p": p, "neg_log10_p_adj": adjusted(p)}
        block: dict[str, copy_binary.Value] = {
            "dataset_id": key,
            "gene_key": made.gene_keys,
            "fit_id": int(str(fit_id)),
        }
        yield block | {name: np.ascontiguousarray(values.T) for name, values in layers.items()}, len(made.gene_keys)
