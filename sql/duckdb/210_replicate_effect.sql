CREATE VIEW replicate_effect AS
SELECT
    e.dataset, e.method, e.mode, e.effect_id, e.condition_id, e.sample_id, p.plate, m.well, e.compound_name,
    e.source_compound_name, e.inchikey, e.parent_inchikey, e.context, e.context_name, e.dose_um, e.time_h, e.stratum,
    g.gene_id, g.gene_symbol, e.log2_fc[g.place] AS log2_fc, e.se[g.place] AS se,
    e.log2_fc[g.place] / nullif(e.se[g.place], 0) AS t, p_value(e.neg_log10_p[g.place]) AS p_value,
    p_value(e.neg_log10_p_adj[g.place]) AS p_adj, p_value(e.neg_log10_p_limma[g.place]) AS p_value_limma,
    p_value(e.neg_log10_p_adj_limma[g.place]) AS p_adj_limma
FROM core.effect e
JOIN core.sample m ON m.dataset_id = e.dataset_id AND m.sample_id = e.sample_id
JOIN core.plate p ON p.plate_id = m.plate_id
JOIN core.feature_set_gene g ON g.feature_set_id = e.feature_set_id
WHERE e.mode = 'replicate' AND e.status = 'ok' AND NOT isnan(e.log2_fc[g.place]);
