CREATE MACRO compound_responses(gene, of_compounds, of_datasets := NULL, of_contexts := NULL) AS TABLE
SELECT
    e.effect_id, e.condition_id, e.dataset, e.compound_name, e.inchikey, e.parent_inchikey, e.context, e.context_name,
    e.dose_um, e.time_h, g.gene_id, g.gene_symbol, e.log2_fc[g.place] AS log2_fc, e.se[g.place] AS se,
    p_value(e.neg_log10_p_adj[g.place]) AS p_adj
FROM (SELECT i.* FROM core.feature_set_gene i WHERE i.gene_id = gene OR i.gene_symbol = gene) g
JOIN core.default_effect e ON e.feature_set_id = g.feature_set_id
WHERE e.status = 'ok' AND list_contains(of_compounds, e.compound_name) AND NOT isnan(e.log2_fc[g.place])
  AND (of_datasets IS NULL OR list_contains(of_datasets, e.dataset))
  AND (of_contexts IS NULL OR list_contains(of_contexts, e.context) OR list_contains(of_contexts, e.context_name))
ORDER BY e.compound_name, e.dataset, e.context, e.time_h, e.dose_um, e.effect_id;
