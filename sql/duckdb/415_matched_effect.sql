CREATE VIEW matched_effect AS
SELECT
    m.match_id, da.dataset AS dataset_a, db.dataset AS dataset_b, m.condition_id_a, m.condition_id_b, s.compound_name,
    k.parent_inchikey, m.inchikey_level, x.context, x.context_name, a.time_h, a.dose_um AS dose_um_a, b.dose_um AS dose_um_b,
    m.dose_fold, m.from_window, ga.gene_id, ga.gene_symbol, ea.log2_fc[ga.place] AS log2_fc_a,
    ea.log2_fc[ga.place] / nullif(ea.se[ga.place], 0) AS t_a, p_value(ea.neg_log10_p_adj[ga.place]) AS p_adj_a,
    eb.log2_fc[gb.place] AS log2_fc_b, eb.log2_fc[gb.place] / nullif(eb.se[gb.place], 0) AS t_b,
    p_value(eb.neg_log10_p_adj[gb.place]) AS p_adj_b,
    sign(ea.log2_fc[ga.place]) = sign(eb.log2_fc[gb.place]) AS same_direction
FROM core.match m
JOIN core.condition a ON a.condition_id = m.condition_id_a
JOIN core.condition b ON b.condition_id = m.condition_id_b
JOIN core.dataset da ON da.dataset_id = m.dataset_id_a
JOIN core.dataset db ON db.dataset_id = m.dataset_id_b
JOIN core.context x ON x.context_id = a.context_id
JOIN core.source_compound s ON s.source_compound_id = a.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
JOIN core.default_effect ea ON ea.effect_id = m.effect_id_a
JOIN core.default_effect eb ON eb.effect_id = m.effect_id_b
JOIN core.feature_set_gene ga ON ga.feature_set_id = ea.feature_set_id
JOIN core.feature_set_gene gb ON gb.feature_set_id = eb.feature_set_id AND gb.gene_key = ga.gene_key
WHERE NOT isnan(ea.log2_fc[ga.place]) AND NOT isnan(eb.log2_fc[gb.place]);
