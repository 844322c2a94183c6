-- Every vector of the model is read: exact, and at tens of thousands of compounds a matter of milliseconds.
CREATE FUNCTION pbdb.acts_like(
    compound text, k integer DEFAULT 20, of_model text DEFAULT NULL, least_reliability double precision DEFAULT 0.3
) RETURNS TABLE (
    compound_name text, parent_inchikey text, cosine double precision, percentile double precision, reliability real,
    tanimoto double precision, n_training_effects integer, n_training_datasets integer, n_training_contexts integer,
    from_structure boolean
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    -- One distance for each vector, from a scan that joins nothing; what else is told is looked up for the k nearest.
    WITH meant AS (
        SELECT coalesce(c.parent_inchikey, c.inchikey) AS parent_inchikey, c.fingerprint
        FROM core.compound c
        WHERE c.inchikey = compound OR c.parent_inchikey = compound OR c.name = lower(btrim(compound))
        ORDER BY CASE WHEN c.inchikey = compound THEN 1 WHEN c.parent_inchikey = compound THEN 2 ELSE 3 END,
            c.inchikey <> c.parent_inchikey, c.compound_id
        LIMIT 1
    ), asked AS MATERIALIZED (
        SELECT v.model_id, v.parent_inchikey, v.vec, v.reliability, q.fingerprint, m.cosine_levels, m.cosine_quantiles
        FROM core.embedding_model m
        JOIN core.compound_embedding v ON v.model_id = m.model_id
        JOIN meant q ON q.parent_inchikey = v.parent_inchikey
        WHERE CASE WHEN of_model IS NULL THEN m.is_default_model ELSE m.model = of_model END
    ), near AS MATERIALIZED (
        SELECT v.parent_inchikey, v.vec OPERATOR(public.<=>) (SELECT a.vec FROM asked a) AS distance
        FROM core.compound_embedding v
        WHERE v.model_id = (SELECT a.model_id FROM asked a)
            AND (v.reliability >= least_reliability OR v.reliability IS NULL)
        ORDER BY distance, v.parent_inchikey
        LIMIT k + 1
    ), placed AS (
        SELECT v.*, 1 - n.distance AS cosine, a.fingerprint AS asked_fingerprint, a.cosine_levels,
            cardinality(a.cosine_levels) AS size, a.cosine_quantiles, width_bucket(
                least(v.reliability, a.reliability)::double precision, ARRAY[0.3, 0.5, 0.7, 0.9]::double precision[]
            ) AS class
        FROM near n
        JOIN asked a ON a.parent_inchikey <> n.parent_inchikey
        JOIN core.compound_embedding v ON v.model_id = a.model_id AND v.parent_inchikey = n.parent_inchikey
    )
    SELECT
        c.name, p.parent_inchikey, p.cosine,
        coalesce(p.cosine_levels[width_bucket(
            p.cosine, p.cosine_quantiles[coalesce(p.class, 0) * p.size + 1:(coalesce(p.class, 0) + 1) * p.size]
        )], 0),
        p.reliability, 1 - (c.fingerprint OPERATOR(public.<%>) p.asked_fingerprint), p.n_training_effects,
        p.n_training_datasets, p.n_training_contexts, p.from_structure
    FROM placed p
    LEFT JOIN LATERAL (
        SELECT o.name, o.fingerprint FROM core.compound o
        WHERE o.parent_inchikey = p.parent_inchikey AND o.replaced_by IS NULL
        ORDER BY o.inchikey <> o.parent_inchikey, o.inchikey
        LIMIT 1
    ) c ON true
    ORDER BY p.cosine DESC, p.parent_inchikey
    LIMIT k;
END;
COMMENT ON FUNCTION pbdb.acts_like(text, integer, text, double precision) IS
    'The k compounds whose effects are most like those of one (name, InChIKey or that of the parent), by an embedding model '
    '(the default one unless named): cosine, the share of random pairs known as well that have a lower one, how reliable '
    'each is (below least_reliability hidden), and Tanimoto similarity of the structures beside it';
