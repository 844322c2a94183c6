-- Arrays of both sides are unnested before genes meet, as in condition_effect.
CREATE VIEW matched_effect AS
SELECT
    a.match_id, a.dataset_a, a.dataset_b, a.condition_id_a, a.condition_id_b, a.compound_name, a.parent_inchikey,
    a.inchikey_level, a.context, a.context_name, a.time_h, a.dose_um_a, a.dose_um_b, a.dose_fold, a.from_window,
    a.gene_id, a.gene_symbol, a.log2_fc AS log2_fc_a, a.log2_fc / nullif(a.se, 0) AS t_a,
    p_value(a.neg_log10_p_adj) AS p_adj_a, b.log2_fc AS log2_fc_b, b.log2_fc / nullif(b.se, 0) AS t_b,
    p_value(b.neg_log10_p_adj) AS p_adj_b, sign(a.log2_fc) = sign(b.log2_fc) AS same_direction
FROM (
    SELECT
        m.match_id, da.dataset AS dataset_a, db.dataset AS dataset_b, m.condition_id_a, m.condition_id_b,
        s.compound_name, k.parent_inchikey, m.inchikey_level, x.context, x.context_name, ca.time_h,
        ca.dose_um AS dose_um_a, cb.dose_um AS dose_um_b, m.dose_fold, m.from_window, unnest(h.gene_ids) AS gene_id,
        unnest(h.gene_symbols) AS gene_symbol, unnest(e.log2_fc) AS log2_fc, unnest(e.se) AS se,
        unnest(e.neg_log10_p_adj) AS neg_log10_p_adj
    FROM core.match m
    JOIN core.condition ca ON ca.condition_id = m.condition_id_a
    JOIN core.condition cb ON cb.condition_id = m.condition_id_b
    JOIN core.dataset da ON da.dataset_id = m.dataset_id_a
    JOIN core.dataset db ON db.dataset_id = m.dataset_id_b
    JOIN core.context x ON x.context_id = ca.context_id
    JOIN core.source_compound s ON s.source_compound_id = ca.source_compound_id
    LEFT JOIN core.compound k ON k.compound_id = s.compound_id
    JOIN core.default_effect e ON e.effect_id = m.effect_id_a
    JOIN core.feature_set_genes h ON h.feature_set_id = e.feature_set_id
) a
JOIN (
    SELECT
        m.match_id, m.condition_id_a, m.condition_id_b, s.compound_name, unnest(h.gene_ids) AS gene_id,
        unnest(e.log2_fc) AS log2_fc, unnest(e.se) AS se, unnest(e.neg_log10_p_adj) AS neg_log10_p_adj
    FROM core.match m
    JOIN core.condition ca ON ca.condition_id = m.condition_id_a
    JOIN core.source_compound s ON s.source_compound_id = ca.source_compound_id
    JOIN core.default_effect e ON e.effect_id = m.effect_id_b
    JOIN core.feature_set_genes h ON h.feature_set_id = e.feature_set_id
) b
    -- Conditions and compound follow from the match; said, a filter on them reads few effects of this side, too.
    ON b.match_id = a.match_id AND b.condition_id_a = a.condition_id_a AND b.condition_id_b = a.condition_id_b
    AND b.compound_name = a.compound_name AND b.gene_id = a.gene_id
WHERE NOT isnan(a.log2_fc) AND NOT isnan(b.log2_fc);
