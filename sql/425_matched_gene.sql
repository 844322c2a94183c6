CREATE VIEW pbdb.matched_gene WITH (security_invoker = true) AS
SELECT
    u.match_id, da.dataset AS dataset_a, db.dataset AS dataset_b, m.condition_id_a, m.condition_id_b, s.compound_name,
    k.parent_inchikey, m.inchikey_level, x.context, x.context_name, a.time_h, a.dose_um AS dose_um_a, b.dose_um AS dose_um_b,
    m.dose_fold, m.from_window, g.gene_id, g.symbol AS gene_symbol, u.log2_fc_a, u.log2_fc_a / nullif(u.se_a, 0) AS t_a,
    pbdb.p_value(u.neg_log10_p_adj_a) AS p_adj_a, u.log2_fc_b, u.log2_fc_b / nullif(u.se_b, 0) AS t_b,
    pbdb.p_value(u.neg_log10_p_adj_b) AS p_adj_b, sign(u.log2_fc_a) = sign(u.log2_fc_b) AS same_direction
-- Landmarks first: who asks for the first rows gets them from genes that most data sets measure, not after dozens of
-- others without a match.
FROM (
    SELECT l.gene_key, l.gene_id, l.symbol FROM core.gene l WHERE l.is_landmark
    UNION ALL
    SELECT o.gene_key, o.gene_id, o.symbol FROM core.gene o WHERE NOT o.is_landmark
) g
CROSS JOIN LATERAL pbdb.gene_pairs(g.gene_key) u
LEFT JOIN core.match m ON m.match_id = u.match_id
LEFT JOIN core.condition a ON a.condition_id = m.condition_id_a
LEFT JOIN core.condition b ON b.condition_id = m.condition_id_b
LEFT JOIN core.dataset da ON da.dataset_id = m.dataset_id_a
LEFT JOIN core.dataset db ON db.dataset_id = m.dataset_id_b
LEFT JOIN core.context x ON x.context_id = a.context_id
LEFT JOIN core.source_compound s ON s.source_compound_id = a.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.matched_gene IS
    'Matched conditions gene by gene, the rows of matched_effect: quick for one gene over all matches';
