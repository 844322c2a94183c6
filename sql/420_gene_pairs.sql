-- One gene over all matches. A function, for its unnested values must stay one table that is joined twice by hashing:
-- left to the planner, the view unnests the gene once for each match, 35 s instead of 0.2 s.
CREATE FUNCTION pbdb.gene_pairs(of_gene integer)
RETURNS TABLE (
    match_id bigint, log2_fc_a real, se_a real, neg_log10_p_adj_a real, log2_fc_b real, se_b real,
    neg_log10_p_adj_b real
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 50000
SET enable_nestloop = off
BEGIN ATOMIC
    WITH response AS MATERIALIZED (
        SELECT u.*
        FROM (
            -- Unnested in the list, not after FROM: there each array would first become a table of its own.
            SELECT
                unnest(f.effect_ids) AS effect_id, unnest(r.log2_fc) AS log2_fc, unnest(r.se) AS se,
                unnest(r.neg_log10_p_adj) AS neg_log10_p_adj
            FROM core.gene_effect r
            JOIN core.fit f ON f.dataset_id = r.dataset_id AND f.fit_id = r.fit_id
            WHERE r.gene_key = of_gene AND f.is_default
        ) u
        WHERE u.log2_fc <> 'NaN'
          -- Most effects are in no match.
          AND u.effect_id IN (
              SELECT i.effect_id_a FROM core.match i UNION ALL SELECT i.effect_id_b FROM core.match i
          )
    )
    SELECT m.match_id, a.log2_fc, a.se, a.neg_log10_p_adj, b.log2_fc, b.se, b.neg_log10_p_adj
    FROM core.match m
    JOIN response a ON a.effect_id = m.effect_id_a
    JOIN response b ON b.effect_id = m.effect_id_b;
END;
COMMENT ON FUNCTION pbdb.gene_pairs(integer) IS
    'One gene (gene_key) over all matches: one row for each that estimates it twice';
