CREATE MACRO strongest_conditions(
    gene, n := 20, direction := NULL, of_datasets := NULL, of_contexts := NULL, of_compounds := NULL
) AS TABLE
SELECT
    v.effect_id, v.condition_id, v.dataset, v.compound_name, v.inchikey, k.parent_inchikey, v.context, v.context_name,
    v.dose_um, v.time_h, v.gene_id, v.gene_symbol, v.log2_fc, v.se, p_value(v.neg_log10_p_adj) AS p_adj
FROM (
    SELECT
        e.effect_id, e.condition_id, e.dataset, e.compound_name, e.inchikey, e.context, e.context_name, e.dose_um,
        e.time_h, g.gene_id, g.gene_symbol, e.log2_fc[g.place] AS log2_fc, e.se[g.place] AS se,
        e.neg_log10_p_adj[g.place] AS neg_log10_p_adj
    FROM (SELECT i.* FROM core.feature_set_gene i WHERE i.gene_id = gene OR i.gene_symbol = gene) g
    JOIN core.default_effect e ON e.feature_set_id = g.feature_set_id
    WHERE e.status = 'ok'
      AND (of_datasets IS NULL OR list_contains(of_datasets, e.dataset))
      AND (of_contexts IS NULL OR list_contains(of_contexts, e.context) OR list_contains(of_contexts, e.context_name))
      AND (of_compounds IS NULL OR list_contains(of_compounds, e.compound_name))
) v
LEFT JOIN core.compound k ON k.inchikey = v.inchikey
WHERE NOT isnan(v.log2_fc)
  AND (direction IS NULL OR direction = 'up' AND v.log2_fc > 0 OR direction = 'down' AND v.log2_fc < 0)
ORDER BY
    v.neg_log10_p_adj >= 1.30103 AND NOT isnan(v.neg_log10_p_adj) DESC, abs(v.log2_fc) DESC, v.effect_id
LIMIT n;
