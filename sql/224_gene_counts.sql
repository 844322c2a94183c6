CREATE FUNCTION pbdb.gene_counts(gene text)
RETURNS TABLE (
    dataset text, context text, context_name text, gene_id text, n_conditions bigint, n_up bigint, n_down bigint
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    SELECT
        d.dataset, x.context, x.context_name, v.gene_id, count(*),
        count(*) FILTER (WHERE v.log2_fc > 0 AND v.neg_log10_p_adj >= 1.30103 AND v.neg_log10_p_adj <> 'NaN'),
        count(*) FILTER (WHERE v.log2_fc < 0 AND v.neg_log10_p_adj >= 1.30103 AND v.neg_log10_p_adj <> 'NaN')
    FROM (
        -- Unnested in the list, not after FROM: there each array would first become a table of its own.
        SELECT
            g.gene_id, r.dataset_id, f.context_id, unnest(r.log2_fc) AS log2_fc,
            unnest(r.neg_log10_p_adj) AS neg_log10_p_adj
        FROM core.gene g
        CROSS JOIN LATERAL (SELECT i.* FROM core.gene_effect i WHERE i.gene_key = g.gene_key OFFSET 0) r
        JOIN core.fit f ON f.fit_id = r.fit_id
        WHERE f.is_default AND (g.gene_id = gene OR g.symbol = gene)
    ) v
    JOIN core.dataset d ON d.dataset_id = v.dataset_id
    JOIN core.context x ON x.context_id = v.context_id
    WHERE v.log2_fc <> 'NaN'
    GROUP BY d.dataset, x.context, x.context_name, v.gene_id
    ORDER BY d.dataset, x.context, v.gene_id;
END;
COMMENT ON FUNCTION pbdb.gene_counts(text) IS
    'For a gene (Ensembl id or symbol): conditions that test it in each data set and context, and those that move it up'
    ' or down with p_adj up to 0.05';
