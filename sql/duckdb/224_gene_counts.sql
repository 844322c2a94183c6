CREATE MACRO gene_counts(gene) AS TABLE
SELECT
    v.dataset, v.context, v.context_name, v.gene_id, count(*) AS n_conditions,
    count(*) FILTER (WHERE v.log2_fc > 0 AND v.neg_log10_p_adj >= 1.30103 AND NOT isnan(v.neg_log10_p_adj)) AS n_up,
    count(*) FILTER (WHERE v.log2_fc < 0 AND v.neg_log10_p_adj >= 1.30103 AND NOT isnan(v.neg_log10_p_adj)) AS n_down
FROM (
    SELECT
        e.dataset, e.context, e.context_name, g.gene_id, e.log2_fc[g.place] AS log2_fc,
        e.neg_log10_p_adj[g.place] AS neg_log10_p_adj
    FROM (SELECT i.* FROM core.feature_set_gene i WHERE i.gene_id = gene OR i.gene_symbol = gene) g
    JOIN core.default_effect e ON e.feature_set_id = g.feature_set_id
    WHERE e.status = 'ok'
) v
WHERE NOT isnan(v.log2_fc)
GROUP BY v.dataset, v.context, v.context_name, v.gene_id
ORDER BY v.dataset, v.context, v.gene_id;
