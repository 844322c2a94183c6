CREATE FUNCTION pbdb.compare(effect_a bigint, effect_b bigint)
RETURNS TABLE (
    gene_id text, gene_symbol text, log2_fc_a real, p_adj_a double precision, log2_fc_b real, p_adj_b double precision,
    same_direction boolean
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 10000
BEGIN ATOMIC
    SELECT
        g.gene_id, g.symbol, u.log2_fc_a, pbdb.p_value(u.neg_log10_p_adj_a), u.log2_fc_b,
        pbdb.p_value(u.neg_log10_p_adj_b), sign(u.log2_fc_a) = sign(u.log2_fc_b)
    FROM core.effect a
    JOIN core.fit fa ON fa.fit_id = a.fit_id
    JOIN core.feature_set ha ON ha.feature_set_id = fa.feature_set_id
    CROSS JOIN core.effect b
    JOIN core.fit fb ON fb.fit_id = b.fit_id
    JOIN core.feature_set hb ON hb.feature_set_id = fb.feature_set_id
    CROSS JOIN LATERAL pbdb.pair_genes(
        ha.gene_keys, a.log2_fc, a.se, a.neg_log10_p_adj, hb.gene_keys, b.log2_fc, b.se, b.neg_log10_p_adj
    ) u
    JOIN core.gene g ON g.gene_key = u.gene_key
    WHERE a.effect_id = effect_a AND b.effect_id = effect_b;
END;
COMMENT ON FUNCTION pbdb.compare(bigint, bigint) IS
    'Two effects side by side, one row for each gene that both have estimated; ids are those of the view effect';
