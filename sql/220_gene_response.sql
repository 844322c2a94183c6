CREATE VIEW pbdb.gene_response WITH (security_invoker = true) AS
SELECT
    d.dataset, f.method, f.mode, e.effect_id, e.condition_id, s.compound_name, s.name AS source_compound_name, k.inchikey,
    x.context, x.context_name, c.dose_um, c.time_h, c.stratum, g.gene_id, g.symbol AS gene_symbol, u.log2_fc, u.se,
    u.log2_fc / nullif(u.se, 0) AS t, pbdb.p_value(u.neg_log10_p_adj) AS p_adj
FROM core.gene g
JOIN core.gene_effect r ON r.gene_key = g.gene_key
JOIN core.fit f ON f.dataset_id = r.dataset_id AND f.fit_id = r.fit_id
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
CROSS JOIN LATERAL unnest(f.effect_ids, r.log2_fc, r.se, r.neg_log10_p_adj) u (effect_id, log2_fc, se, neg_log10_p_adj)
JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.effect_id = u.effect_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
WHERE f.is_default AND u.log2_fc <> 'NaN';
COMMENT ON VIEW pbdb.gene_response IS
    'Effects, one row per gene and condition: quick for a gene, everywhere or in one context. The rows are those of'
    ' condition_effect';
