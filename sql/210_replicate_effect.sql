CREATE VIEW pbdb.replicate_effect WITH (security_invoker = true) AS
SELECT
    d.dataset, f.method, f.mode, e.effect_id, e.condition_id, e.sample_id, p.plate, m.well, s.compound_name,
    s.name AS source_compound_name, k.inchikey, x.context, x.context_name, c.dose_um, c.time_h, c.stratum, g.gene_id,
    g.symbol AS gene_symbol, u.log2_fc, u.se, u.log2_fc / nullif(u.se, 0) AS t,
    pbdb.p_value(u.neg_log10_p) AS p_value, pbdb.p_value(u.neg_log10_p_adj) AS p_adj
FROM core.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id
JOIN core.sample m ON m.dataset_id = e.dataset_id AND m.sample_id = e.sample_id
JOIN core.plate p ON p.plate_id = m.plate_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
CROSS JOIN LATERAL unnest(h.gene_keys, e.log2_fc, e.se, e.neg_log10_p, e.neg_log10_p_adj)
    u (gene_key, log2_fc, se, neg_log10_p, neg_log10_p_adj)
JOIN core.gene g ON g.gene_key = u.gene_key
WHERE f.mode = 'replicate' AND e.status = 'ok' AND u.log2_fc <> 'NaN';
COMMENT ON VIEW pbdb.replicate_effect IS 'Effects of single wells against vehicle, one row per well and gene';
