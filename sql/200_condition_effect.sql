CREATE VIEW pbdb.condition_effect WITH (security_invoker = true) AS
SELECT
    d.dataset, f.method, f.mode, e.effect_id, e.condition_id, s.compound_name, s.name AS source_compound_name, k.inchikey,
    x.context, x.context_name, c.dose_um, c.time_h, c.stratum, g.gene_id, g.symbol AS gene_symbol, u.log2_fc, u.se,
    u.log2_fc / nullif(u.se, 0) AS t, pbdb.p_value(u.neg_log10_p) AS p_value, pbdb.p_value(u.neg_log10_p_adj) AS p_adj
FROM core.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
CROSS JOIN LATERAL unnest(h.gene_keys, e.log2_fc, e.se, e.neg_log10_p, e.neg_log10_p_adj)
    u (gene_key, log2_fc, se, neg_log10_p, neg_log10_p_adj)
JOIN core.gene g ON g.gene_key = u.gene_key
WHERE f.is_default AND e.status = 'ok' AND u.log2_fc <> 'NaN';
COMMENT ON VIEW pbdb.condition_effect IS
    'Effects, one row per condition and gene: quick for a condition, a compound, a context. For a gene: gene_response';
COMMENT ON COLUMN pbdb.condition_effect.log2_fc IS 'log2 fold change, condition over vehicle of the same time; up is positive';
COMMENT ON COLUMN pbdb.condition_effect.se IS 'Moderated standard error of log2_fc';
COMMENT ON COLUMN pbdb.condition_effect.t IS 'Moderated t statistic: log2_fc over se';
COMMENT ON COLUMN pbdb.condition_effect.p_value IS 'Two-sided p value; 0 below 1e-307';
COMMENT ON COLUMN pbdb.condition_effect.p_adj IS 'p value adjusted over the genes of one effect (Benjamini and Hochberg)';
