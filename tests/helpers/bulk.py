"""A database filled by SQL alone, for plans and timings: sizes as wanted, values that mean nothing."""

from __future__ import annotations

from dataclasses import dataclass

from rows import add_dataset
from sqlalchemy import Connection, text

from pbdb.database import partitions


@dataclass(frozen=True)
class Bulk:
    """A dataset of contexts x compounds x doses, with vehicle; keys start at `base`."""

    base: int
    dataset: str
    n_contexts: int
    n_compounds: int
    n_doses: int
    n_genes: int
    is_redistributable: bool = True


def add_genes(connection: Connection, n: int) -> None:
    """Genes 1 to n."""
    connection.execute(
        text("""
            INSERT INTO core.gene (gene_key, gene_id, symbol, status)
            SELECT g, 'ENSG' || lpad(g::text, 11, '0'), 'GENE' || g, 'current' FROM generate_series(1, :n) g
        """),
        {"n": n},
    )


def fill(connection: Connection, bulk: Bulk) -> None:
    """Fill every table a long view reads, and refresh statistics."""
    add_dataset(connection, bulk.base, bulk.dataset, is_redistributable=bulk.is_redistributable)
    sizes = {name: value for name, value in vars(bulk).items() if isinstance(value, int)}
    for statement in (_IDENTITY + _CONDITIONS + _FITS).split(";"):
        if statement.strip():
            connection.execute(text(statement), sizes)
    generation = partitions.new_generation(connection)
    names = {}
    for table, statement in (("sample", _SAMPLES), ("effect", _EFFECTS), ("gene_effect", _GENE_EFFECTS)):
        names[table] = partitions.create_standalone(connection, table, bulk.base, generation)
        connection.execute(text(statement.format(name=names[table])), sizes)
        partitions.finish(connection, table, names[table])
    partitions.attach(connection, bulk.base, generation, names)
    partitions.make_current(connection, bulk.base, generation)
    for table in (
        "gene",
        "compound",
        "source_compound",
        "context",
        "plate",
        "condition",
        "feature_set",
        "fit",
        "fit_sample",
    ):
        connection.exec_driver_sql(f"ANALYZE core.{table}")
    partitions.analyze(connection)


# Compounds and contexts are shared by all datasets. Of each context, one plate and one vehicle condition.
_IDENTITY = """
INSERT INTO core.compound (compound_id, inchikey, name, parent_inchikey)
SELECT c, 'KEY' || c, 'drug ' || c, 'KEY' || c FROM generate_series(1, :n_compounds) c ON CONFLICT DO NOTHING;
INSERT INTO core.context (context_id, context, context_name, kind, organism)
SELECT x, 'CVCL:' || lpad(x::text, 4, '0'), 'line ' || x, 'cell_line', 'human'
FROM generate_series(1, :n_contexts) x ON CONFLICT DO NOTHING;
INSERT INTO core.source_compound (source_compound_id, dataset_id, source_key, name, compound_id, resolved_by)
SELECT :base + c, :base, 'key ' || c, 'name ' || c, nullif(c, 0), 'structure' FROM generate_series(0, :n_compounds) c;
INSERT INTO core.plate (plate_id, dataset_id, plate)
SELECT :base + x, :base, 'plate ' || x FROM generate_series(1, :n_contexts) x;
"""
_CONDITIONS = """
INSERT INTO core.condition
    (condition_id, dataset_id, source_compound_id, context_id, dose_fm, time_h, is_vehicle, n_samples)
SELECT :base + row_number() OVER (ORDER BY x, c, d), :base, :base + c, x,
    CASE WHEN c = 0 THEN 0 ELSE (10 ^ (8 + d))::bigint END, 24, c = 0, 2
FROM generate_series(1, :n_contexts) x CROSS JOIN generate_series(0, :n_compounds) c
CROSS JOIN generate_series(1, :n_doses) d WHERE c > 0 OR d = 1;
"""
_FITS = """
INSERT INTO core.feature_set (feature_set_id, n_genes, gene_keys)
SELECT :base, :n_genes, array_agg(g ORDER BY g) FROM generate_series(1, :n_genes) g;
INSERT INTO core.fit (fit_id, dataset_id, context_id, method, mode, is_default, feature_set_id, n_samples, n_vehicle,
    n_plates, n_components, filter_rule, n_genes_in, effect_ids, condition_ids, ave_expr, sigma, parameters, report,
    code_version)
SELECT :base + context_id, :base, context_id, 'voom', 'pooled', true, :base, 1, 1, 1, 1, 'floor', 1,
    array_agg(condition_id ORDER BY condition_id), array_agg(condition_id ORDER BY condition_id),
    array_fill(1::real, ARRAY[:n_genes]), array_fill(1::real, ARRAY[:n_genes]), '{}', '{}', '0'
FROM core.condition WHERE dataset_id = :base AND NOT is_vehicle GROUP BY context_id;
INSERT INTO core.fit_sample (fit_id, sample_id, role)
SELECT :base + context_id, 2 * condition_id + w, CASE WHEN is_vehicle THEN 'vehicle' ELSE 'treated' END
FROM core.condition CROSS JOIN generate_series(0, 1) w WHERE dataset_id = :base;
"""
_SAMPLES = """
INSERT INTO {name} (sample_id, dataset_id, source_sample, plate_id, condition_id, source_compound_id, context_id,
    dose_fm, time_h, is_vehicle, in_fit)
SELECT 2 * condition_id + w, :base, 'w' || 2 * condition_id + w, :base + context_id, condition_id, source_compound_id,
    context_id, dose_fm, time_h, is_vehicle, true
FROM core.condition CROSS JOIN generate_series(0, 1) w WHERE dataset_id = :base
"""
# Effects have the keys of their conditions. Rows differ by where they are cut out of one long array of numbers.
_LONG = "WITH long AS MATERIALIZED (SELECT array_agg((random() - 0.5)::real * 4) x FROM generate_series(1, {length}))"
_EFFECTS = (
    _LONG.format(length=":n_genes + 1000")
    + """
INSERT INTO {name} (dataset_id, effect_id, fit_id, condition_id, status, n_treated, n_vehicle, n_plates,
    n_vehicle_same_plates, log2_fc, se, neg_log10_p, neg_log10_p_adj)
SELECT :base, condition_id, :base + context_id, condition_id, 'ok', 2, 2, 1, 2,
    x[f:t], x[f + 1:t + 1], x[f + 2:t + 2], x[f + 3:t + 3]
FROM (SELECT *, 1 + condition_id % 990 AS f, condition_id % 990 + :n_genes AS t FROM core.condition) c
CROSS JOIN long WHERE dataset_id = :base AND NOT is_vehicle
"""
)
_GENE_EFFECTS = (
    _LONG.format(length=":n_compounds * :n_doses + 1000")
    + """
INSERT INTO {name} (dataset_id, gene_key, fit_id, log2_fc, se, neg_log10_p, neg_log10_p_adj)
SELECT :base, g, :base + c, x[f:t], x[f + 1:t + 1], x[f + 2:t + 2], x[f + 3:t + 3]
FROM generate_series(1, :n_contexts) c CROSS JOIN LATERAL (SELECT g, 1 + (g + c) % 990 AS f,
    (g + c) % 990 + :n_compounds * :n_doses AS t FROM generate_series(1, :n_genes) g) h CROSS JOIN long
"""
)
