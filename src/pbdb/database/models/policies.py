"""What the tables need beyond columns and constraints: storage, statistics, who may read which rows.

The revisions say the same in words of their own; `pbdb db check` compares the two in a scratch schema.
"""

from __future__ import annotations

from collections.abc import Iterator

from pbdb.database.models.base import PARTITIONS, SCHEMA, Base
from pbdb.server.connect import PUBLIC, READER

# Tables of schema part whose rows core shows in views of the same names: those of current generations.
PARTITIONED = ("sample", "effect", "gene_effect")

# Arrays of results: never compressed (read whole, again and again), never sampled by ANALYZE (minutes, for nothing).
VALUE_COLUMNS = {
    "effect": (
        "log2_fc",
        "se",
        "neg_log10_p",
        "neg_log10_p_adj",
        "neg_log10_p_limma",
        "neg_log10_p_adj_limma",
        "landmark_t",
    ),
    "gene_effect": ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj"),
    "fit": ("ave_expr", "sigma", "s2_post", "df_total", "dispersion"),
}
# Vectors that search compares by the hundred: in the row itself, and not sampled either.
INLINE_COLUMNS = {"signature": "landmark_t", "projected_signature": "coordinates"}
INLINE_BYTES = 4080
# Arrays of keys: not compressed either, but sampled, for the planner must know how long they are.
KEY_COLUMNS = {
    "fit": ("effect_ids", "condition_ids"),
    "feature_set": ("gene_keys",),
    "feature_set_genes": ("gene_ids", "gene_symbols"),
    "fit_conditions": ("source_compound_ids", "doses_um", "times_h"),
}

# The subquery is run once and its result prunes partitions; the rows it sees are those dataset's own policy shows.
_DATASET = "dataset_id = ANY (ARRAY(SELECT d.dataset_id FROM core.dataset d))"
_BOTH = " AND ".join(_DATASET.replace("dataset_id = ANY", f"dataset_id_{side} = ANY") for side in "ab")
_ALL_NAMED = "datasets <@ ARRAY(SELECT d.dataset FROM core.dataset d)"
_NAMED = "dataset = ANY (ARRAY(SELECT d.dataset FROM core.dataset d))"


def _seen_in(parent: str, key: str, child: str) -> str:
    return f"EXISTS (SELECT FROM core.{parent} p WHERE p.{key} = {child}.{key})"


# Which rows pbdb_public sees, per table; pbdb_reader sees all. A table that is not named here holds vocabulary only.
VISIBLE = {
    "dataset": "is_redistributable",
    "assay": _seen_in("dataset", "assay_id", "assay"),
    "plate": _DATASET,
    "generation": _DATASET,
    "source_compound": _DATASET,
    "compound": _seen_in("source_compound", "compound_id", "compound"),
    "compound_annotation": _seen_in("source_compound", "source_compound_id", "compound_annotation"),
    "reference_annotation": "EXISTS (SELECT FROM core.vocabulary p"
    " WHERE p.vocabulary_id = reference_annotation.vocabulary_id AND p.is_redistributable)",
    "context": _seen_in("condition", "context_id", "context"),
    "condition": _DATASET,
    "sample": _DATASET,
    "fit": _DATASET,
    "fit_conditions": _seen_in("fit", "fit_id", "fit_conditions"),
    "fit_sample": _seen_in("fit", "fit_id", "fit_sample"),
    "feature_set": _seen_in("fit", "feature_set_id", "feature_set"),
    "feature_set_genes": _seen_in("fit", "feature_set_id", "feature_set_genes"),
    "effect": _DATASET,
    "gene_effect": _DATASET,
    "match": _BOTH,
    "agreement": _seen_in("match", "match_id", "agreement"),
    "replicate_agreement": _DATASET,
    "agreement_summary": _BOTH,
    "split": _seen_in("split_member", "split_id", "split"),
    "split_member": _seen_in("condition", "condition_id", "split_member"),
    "etl_run": _NAMED,
    "artifact": _NAMED,
    "embedding_model": _ALL_NAMED,
    "compound_embedding": _seen_in("embedding_model", "model_id", "compound_embedding"),
    "evaluation": _ALL_NAMED,
    "signature": _DATASET,
    "signature_fit": _DATASET,
    "signature_projection": _ALL_NAMED,
    "projected_signature": f"{_DATASET} AND projection_id = ANY"
    " (ARRAY(SELECT p.projection_id FROM core.signature_projection p))",
}


# source_compound.compound_name repeats compound.name, so that a view filtered by name reads an index. feature_set_genes
# repeats the names of genes, fit_conditions what conditions are, so that views of effects look neither up, which took
# half of the time, and a third. PostgreSQL itself keeps the copies true, whoever writes.
TRIGGERS = """
CREATE FUNCTION {schema}.set_compound_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.compound_name := coalesce(
        (SELECT c.name FROM core.compound c WHERE c.compound_id = NEW.compound_id), NEW.name);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION {schema}.set_compound_name() IS 'Fills source_compound.compound_name';
CREATE FUNCTION {schema}.pass_compound_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE core.source_compound SET compound_name = NEW.name WHERE compound_id = NEW.compound_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION {schema}.pass_compound_name() IS 'Passes a new compound.name on to source_compound';
CREATE TRIGGER set_compound_name BEFORE INSERT OR UPDATE OF compound_id, name, compound_name
    ON {schema}.source_compound FOR EACH ROW EXECUTE FUNCTION {schema}.set_compound_name();
CREATE TRIGGER pass_compound_name AFTER UPDATE OF name
    ON {schema}.compound FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name)
    EXECUTE FUNCTION {schema}.pass_compound_name();
CREATE FUNCTION {schema}.set_gene_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Who renames genes and does not see this row yet waits until it does, and the reverse.
    PERFORM pg_advisory_xact_lock_shared('core.feature_set_genes'::regclass::bigint);
    INSERT INTO core.feature_set_genes (feature_set_id, gene_ids, gene_symbols)
    SELECT NEW.feature_set_id, coalesce(array_agg(g.gene_id ORDER BY k.place), '{{}}'),
        coalesce(array_agg(g.symbol ORDER BY k.place), '{{}}')
    FROM unnest(NEW.gene_keys) WITH ORDINALITY k (gene_key, place)
    LEFT JOIN core.gene g ON g.gene_key = k.gene_key
    ON CONFLICT (feature_set_id) DO UPDATE SET gene_ids = EXCLUDED.gene_ids, gene_symbols = EXCLUDED.gene_symbols;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION {schema}.set_gene_names() IS 'Fills feature_set_genes';
CREATE FUNCTION {schema}.pass_gene_names() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    renamed integer[] := ARRAY(
        SELECT n.gene_key FROM named n JOIN called c ON c.gene_key = n.gene_key
        WHERE (n.gene_id, n.symbol) IS DISTINCT FROM (c.gene_id, c.symbol));
BEGIN
    IF renamed <> '{{}}' THEN
        PERFORM pg_advisory_xact_lock('core.feature_set_genes'::regclass::bigint);
        UPDATE core.feature_set h SET gene_keys = h.gene_keys
        WHERE EXISTS (SELECT FROM unnest(h.gene_keys) k WHERE k = ANY (renamed));
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION {schema}.pass_gene_names() IS 'Passes new names of genes on to feature_set_genes';
CREATE TRIGGER set_gene_names AFTER INSERT OR UPDATE OF gene_keys
    ON {schema}.feature_set FOR EACH ROW EXECUTE FUNCTION {schema}.set_gene_names();
CREATE TRIGGER pass_gene_names AFTER UPDATE
    ON {schema}.gene REFERENCING OLD TABLE AS called NEW TABLE AS named
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.pass_gene_names();
CREATE FUNCTION {schema}.set_conditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO core.fit_conditions (fit_id, source_compound_ids, doses_um, times_h)
    SELECT NEW.fit_id, coalesce(array_agg(c.source_compound_id ORDER BY k.place), '{{}}'),
        coalesce(array_agg(c.dose_um ORDER BY k.place), '{{}}'), coalesce(array_agg(c.time_h ORDER BY k.place), '{{}}')
    FROM unnest(NEW.condition_ids) WITH ORDINALITY k (condition_id, place)
    LEFT JOIN core.condition c ON c.condition_id = k.condition_id
    ON CONFLICT (fit_id) DO UPDATE SET source_compound_ids = EXCLUDED.source_compound_ids,
        doses_um = EXCLUDED.doses_um, times_h = EXCLUDED.times_h;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION {schema}.set_conditions() IS 'Fills fit_conditions';
CREATE FUNCTION {schema}.pass_condition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE core.fit SET condition_ids = condition_ids WHERE NEW.condition_id = ANY (condition_ids);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION {schema}.pass_condition() IS 'Passes what a condition became on to fit_conditions';
CREATE TRIGGER set_conditions AFTER INSERT OR UPDATE OF condition_ids
    ON {schema}.fit FOR EACH ROW EXECUTE FUNCTION {schema}.set_conditions();
CREATE TRIGGER pass_condition AFTER UPDATE
    ON {schema}.condition FOR EACH ROW
    WHEN ((OLD.source_compound_id, OLD.dose_um, OLD.time_h) IS DISTINCT FROM
        (NEW.source_compound_id, NEW.dose_um, NEW.time_h))
    EXECUTE FUNCTION {schema}.pass_condition();
"""


def statements(core: str = SCHEMA, part: str = PARTITIONS) -> Iterator[str]:
    """SQL that gives the tables of both schemas, just created from the models, everything else they need."""

    def place(table: str) -> str:
        return f"{part if table in PARTITIONED else core}.{table}"

    for table, columns in (VALUE_COLUMNS | dict.fromkeys(KEY_COLUMNS.keys() - VALUE_COLUMNS.keys(), ())).items():
        for column in (*columns, *KEY_COLUMNS.get(table, ())):
            yield f"ALTER TABLE {place(table)} ALTER COLUMN {column} SET STORAGE EXTERNAL"
        for column in columns:
            yield f"ALTER TABLE {place(table)} ALTER COLUMN {column} SET STATISTICS 0"
    for table, column in INLINE_COLUMNS.items():
        yield f"ALTER TABLE {core}.{table} ALTER COLUMN {column} SET STORAGE MAIN"
        yield f"ALTER TABLE {core}.{table} ALTER COLUMN {column} SET STATISTICS 0"
        yield f"ALTER TABLE {core}.{table} SET (toast_tuple_target = {INLINE_BYTES})"
    # Said of a unique column, so that a filter on it takes a share of the fits, not one, in subqueries of the views.
    yield f"ALTER TABLE {core}.dataset ALTER COLUMN dataset SET (n_distinct = 12)"
    for table in sorted(table.name for table in Base.metadata.tables.values()):
        yield f"GRANT SELECT ON {place(table)} TO {READER}, {PUBLIC}"
    for table, visible in VISIBLE.items():
        yield f"ALTER TABLE {place(table)} ENABLE ROW LEVEL SECURITY"
        yield f"CREATE POLICY reader ON {place(table)} FOR SELECT TO {READER} USING (true)"
        yield f"CREATE POLICY public ON {place(table)} FOR SELECT TO {PUBLIC} USING ({visible})"
    yield TRIGGERS.format(schema=core)
