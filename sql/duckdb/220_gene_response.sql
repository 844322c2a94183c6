CREATE VIEW gene_response AS
SELECT
    e.dataset, e.method, e.mode, e.effect_id, e.condition_id, e.compound_name, e.source_compound_name, e.inchikey,
    e.parent_inchikey, e.context, e.context_name, e.dose_um, e.time_h, e.stratum, g.gene_id, g.gene_symbol,
    e.log2_fc[g.place] AS log2_fc, e.se[g.place] AS se, e.log2_fc[g.place] / nullif(e.se[g.place], 0) AS t,
    p_value(e.neg_log10_p[g.place]) AS p_value, p_value(e.neg_log10_p_adj[g.place]) AS p_adj
FROM core.default_effect e
JOIN core.feature_set_gene g ON g.feature_set_id = e.feature_set_id
WHERE e.status = 'ok' AND NOT isnan(e.log2_fc[g.place]);
