CREATE MACRO acts_like(compound, k := 20, of_model := NULL, least_reliability := 0.3) AS TABLE
WITH meant AS (
    SELECT coalesce(c.parent_inchikey, c.inchikey) AS parent_inchikey, c.fingerprint
    FROM core.compound c
    WHERE c.inchikey = compound OR c.parent_inchikey = compound OR c.name = lower(trim(compound))
    ORDER BY CASE WHEN c.inchikey = compound THEN 1 WHEN c.parent_inchikey = compound THEN 2 ELSE 3 END,
        c.inchikey <> c.parent_inchikey, c.compound_id
    LIMIT 1
), asked AS (
    SELECT v.model_id, v.parent_inchikey, v.vec, v.reliability, q.fingerprint, m.cosine_levels, m.cosine_quantiles
    FROM core.embedding_model m
    JOIN core.compound_embedding v ON v.model_id = m.model_id
    JOIN meant q ON q.parent_inchikey = v.parent_inchikey
    WHERE CASE WHEN of_model IS NULL THEN m.is_default_model ELSE m.model = of_model END
), near AS (
    SELECT v.parent_inchikey, list_cosine_similarity(v.vec, a.vec) AS cosine
    FROM core.compound_embedding v
    JOIN asked a ON a.model_id = v.model_id AND a.parent_inchikey <> v.parent_inchikey
    WHERE coalesce(v.reliability, 1) >= least_reliability
    ORDER BY cosine DESC, v.parent_inchikey
    LIMIT k
), placed AS (
    SELECT
        v.parent_inchikey, n.cosine, v.reliability, a.fingerprint, a.cosine_levels, v.n_training_effects,
        v.n_training_datasets, v.n_training_contexts, v.from_structure, len(a.cosine_levels) AS size,
        a.cosine_quantiles, len(list_filter([0.3, 0.5, 0.7, 0.9],
            lambda edge: edge <= least(coalesce(v.reliability, 0), coalesce(a.reliability, 0)))) AS class
    FROM near n
    JOIN core.compound_embedding v ON v.parent_inchikey = n.parent_inchikey
    JOIN asked a ON a.model_id = v.model_id
), named AS (
    SELECT o.parent_inchikey, arg_min(o.name, o.inchikey) AS name, arg_min(o.fingerprint, o.inchikey) AS fingerprint
    FROM core.compound o
    WHERE o.replaced_by IS NULL AND o.parent_inchikey IN (SELECT n.parent_inchikey FROM near n)
    GROUP BY o.parent_inchikey
)
SELECT
    c.name AS compound_name, n.parent_inchikey, n.cosine,
    coalesce(n.cosine_levels[len(list_filter(
        n.cosine_quantiles[n.class * n.size + 1:(n.class + 1) * n.size], lambda level: level <= n.cosine
    ))], 0) AS percentile,
    n.reliability, bit_count(c.fingerprint & n.fingerprint)::DOUBLE / bit_count(c.fingerprint | n.fingerprint) AS tanimoto,
    n.n_training_effects, n.n_training_datasets, n.n_training_contexts, n.from_structure
FROM placed n
LEFT JOIN named c ON c.parent_inchikey = n.parent_inchikey
ORDER BY n.cosine DESC, n.parent_inchikey;
