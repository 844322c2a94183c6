CREATE VIEW pbdb.matched_effect WITH (security_invoker = true) AS
SELECT
    m.match_id, da.dataset AS dataset_a, db.dataset AS dataset_b, m.condition_id_a, m.condition_id_b, s.compound_name,
    k.parent_inchikey, m.inchikey_level, x.context, x.context_name, a.time_h, a.dose_um AS dose_um_a, b.dose_um AS dose_um_b,
    m.dose_fold, m.from_window, g.gene_id, g.symbol AS gene_symbol, u.log2_fc_a, u.log2_fc_a / nullif(u.se_a, 0) AS t_a,
    pbdb.p_value(u.neg_log10_p_adj_a) AS p_adj_a, u.log2_fc_b, u.log2_fc_b / nullif(u.se_b, 0) AS t_b,
    pbdb.p_value(u.neg_log10_p_adj_b) AS p_adj_b, sign(u.log2_fc_a) = sign(u.log2_fc_b) AS same_direction
FROM core.match m
JOIN core.condition a ON a.condition_id = m.condition_id_a
JOIN core.condition b ON b.condition_id = m.condition_id_b
JOIN core.dataset da ON da.dataset_id = m.dataset_id_a
JOIN core.dataset db ON db.dataset_id = m.dataset_id_b
JOIN core.context x ON x.context_id = a.context_id
JOIN core.source_compound s ON s.source_compound_id = a.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
-- A query of its own (OFFSET 0): planned together, the tables of both halves take the planner three seconds.
CROSS JOIN LATERAL (
    SELECT v.*
    -- LIMIT 1 tells the planner that there is one: it counts one row for each partition, and takes a match for the
    -- square of that many genes, of which LIMIT 100 seems to need next to none.
    FROM (
        SELECT e.fit_id, e.log2_fc, e.se, e.neg_log10_p_adj FROM core.effect e
        WHERE e.dataset_id = m.dataset_id_a AND e.effect_id = m.effect_id_a LIMIT 1
    ) ea
    JOIN core.fit fa ON fa.fit_id = ea.fit_id
    JOIN core.feature_set ha ON ha.feature_set_id = fa.feature_set_id
    CROSS JOIN (
        SELECT e.fit_id, e.log2_fc, e.se, e.neg_log10_p_adj FROM core.effect e
        WHERE e.dataset_id = m.dataset_id_b AND e.effect_id = m.effect_id_b LIMIT 1
    ) eb
    JOIN core.fit fb ON fb.fit_id = eb.fit_id
    JOIN core.feature_set hb ON hb.feature_set_id = fb.feature_set_id
    CROSS JOIN LATERAL pbdb.pair_genes(
        ha.gene_keys, ea.log2_fc, ea.se, ea.neg_log10_p_adj, hb.gene_keys, eb.log2_fc, eb.se, eb.neg_log10_p_adj
    ) v
    OFFSET 0
) u
JOIN core.gene g ON g.gene_key = u.gene_key
-- As the halves say too; said here, matches without effects are passed over before anything is looked up for them.
WHERE m.effect_id_a IS NOT NULL AND m.effect_id_b IS NOT NULL;
COMMENT ON VIEW pbdb.matched_effect IS
    'Matched conditions gene by gene: quick for a match, a compound, a context, a pair of data sets. For one gene over'
    ' all matches: matched_gene';
COMMENT ON COLUMN pbdb.matched_effect.log2_fc_a IS 'log2 fold change in the first condition';
COMMENT ON COLUMN pbdb.matched_effect.t_a IS 'Moderated t statistic in the first condition';
COMMENT ON COLUMN pbdb.matched_effect.p_adj_a IS 'p value in the first condition, adjusted over its genes (BH)';
COMMENT ON COLUMN pbdb.matched_effect.log2_fc_b IS 'log2 fold change in the second condition';
COMMENT ON COLUMN pbdb.matched_effect.t_b IS 'Moderated t statistic in the second condition';
COMMENT ON COLUMN pbdb.matched_effect.p_adj_b IS 'p value in the second condition, adjusted over its genes (BH)';
COMMENT ON COLUMN pbdb.matched_effect.same_direction IS 'True where the gene goes up in both, or down in both';
