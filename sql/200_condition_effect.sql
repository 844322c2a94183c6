CREATE VIEW pbdb.condition_effect WITH (security_invoker = true) AS
SELECT
    f.dataset, f.method, f.mode, e.effect_id, e.condition_id, s.compound_name, s.name AS source_compound_name, k.inchikey,
    k.parent_inchikey, f.context, f.context_name, c.dose_um, c.time_h, c.stratum, u.gene_id, u.gene_symbol,
    u.log2_fc, u.se, u.log2_fc / nullif(u.se, 0) AS t, pbdb.p_value(u.neg_log10_p) AS p_value,
    pbdb.p_value(u.neg_log10_p_adj) AS p_adj, pbdb.p_value(u.neg_log10_p_limma) AS p_value_limma,
    pbdb.p_value(u.neg_log10_p_adj_limma) AS p_adj_limma
FROM (
    -- Few rows: planned by itself, it does not slow the planning of the rest.
    SELECT i.fit_id, i.dataset_id, d.dataset, i.method, i.mode, x.context, x.context_name
    FROM core.fit i
    JOIN core.dataset d ON d.dataset_id = i.dataset_id
    JOIN core.context x ON x.context_id = i.context_id
    WHERE i.is_default
    OFFSET 0
) f
JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id
-- What a row names is there (foreign keys). Outer joins begin with effects, never with conditions of a data set that
-- has none; and a query that asks for none of a table's columns skips it.
LEFT JOIN core.condition c ON c.condition_id = e.condition_id
LEFT JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
-- By itself, after all joins: the genes of one effect.
CROSS JOIN LATERAL (
    SELECT v.*
    FROM (
        -- Unnested in the list, not after FROM: there each array would first become a table of its own.
        SELECT
            unnest(h.gene_ids) AS gene_id, unnest(h.gene_symbols) AS gene_symbol, unnest(e.log2_fc) AS log2_fc,
            unnest(e.se) AS se, unnest(e.neg_log10_p) AS neg_log10_p, unnest(e.neg_log10_p_adj) AS neg_log10_p_adj,
            unnest(e.neg_log10_p_limma) AS neg_log10_p_limma,
            unnest(e.neg_log10_p_adj_limma) AS neg_log10_p_adj_limma, part.thousands()
        FROM core.fit i
        JOIN core.feature_set_genes h ON h.feature_set_id = i.feature_set_id
        WHERE i.fit_id = e.fit_id
    ) v
    WHERE v.log2_fc <> 'NaN'
    OFFSET 0
) u
WHERE e.status = 'ok';
COMMENT ON VIEW pbdb.condition_effect IS
    'Effects, one row per condition and gene: quick for a condition, a compound, a context. For a gene: gene_response';
COMMENT ON COLUMN pbdb.condition_effect.log2_fc IS 'log2 fold change, condition over vehicle of the same time; up is positive';
COMMENT ON COLUMN pbdb.condition_effect.se IS 'Moderated standard error of log2_fc';
COMMENT ON COLUMN pbdb.condition_effect.t IS 'Moderated t statistic: log2_fc over se';
COMMENT ON COLUMN pbdb.condition_effect.p_value IS
    'Two-sided p value, by the test that fit.p_values names; 0 below 1e-307';
COMMENT ON COLUMN pbdb.condition_effect.p_adj IS 'p value adjusted over the genes of one effect (Benjamini and Hochberg)';
COMMENT ON COLUMN pbdb.condition_effect.p_value_limma IS
    'p value of limma''s moderated t, beside p values of counts; null where p_value is of another test already';
COMMENT ON COLUMN pbdb.condition_effect.p_adj_limma IS 'p_value_limma adjusted over the genes of one effect (BH)';
