-- Arrays are unnested beside the names of their genes: a join with the genes would copy each array for each of them.
CREATE VIEW condition_effect AS
SELECT
    e.dataset, e.method, e.mode, e.effect_id, e.condition_id, e.compound_name, e.source_compound_name, e.inchikey,
    e.parent_inchikey, e.context, e.context_name, e.dose_um, e.time_h, e.stratum, e.gene_id, e.gene_symbol, e.log2_fc,
    e.se, e.log2_fc / nullif(e.se, 0) AS t, p_value(e.neg_log10_p) AS p_value, p_value(e.neg_log10_p_adj) AS p_adj,
    p_value(e.neg_log10_p_limma) AS p_value_limma, p_value(e.neg_log10_p_adj_limma) AS p_adj_limma
FROM (
    SELECT
        i.dataset, i.method, i.mode, i.effect_id, i.condition_id, i.compound_name, i.source_compound_name,
        i.inchikey, i.parent_inchikey, i.context, i.context_name, i.dose_um, i.time_h, i.stratum,
        unnest(h.gene_ids) AS gene_id, unnest(h.gene_symbols) AS gene_symbol, unnest(i.log2_fc) AS log2_fc,
        unnest(i.se) AS se, unnest(i.neg_log10_p) AS neg_log10_p, unnest(i.neg_log10_p_adj) AS neg_log10_p_adj,
        unnest(i.neg_log10_p_limma) AS neg_log10_p_limma, unnest(i.neg_log10_p_adj_limma) AS neg_log10_p_adj_limma
    FROM core.default_effect i
    JOIN core.feature_set_genes h ON h.feature_set_id = i.feature_set_id
    WHERE i.status = 'ok'
) e
WHERE NOT isnan(e.log2_fc);
