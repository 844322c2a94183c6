CREATE VIEW pbdb.gene_response WITH (security_invoker = true) AS
SELECT
    d.dataset, f.method, f.mode, u.effect_id, u.condition_id, s.compound_name, s.name AS source_compound_name, k.inchikey,
    k.parent_inchikey, x.context, x.context_name, u.dose_um, u.time_h, f.stratum, g.gene_id, g.symbol AS gene_symbol,
    u.log2_fc, u.se, u.log2_fc / nullif(u.se, 0) AS t, pbdb.p_value(u.neg_log10_p) AS p_value,
    pbdb.p_value(u.neg_log10_p_adj) AS p_adj
FROM core.gene g
-- By index, always: the planner believes that a gene has two rows, for most genes of the table have none.
CROSS JOIN LATERAL (SELECT i.* FROM core.gene_effect i WHERE i.gene_key = g.gene_key OFFSET 0) r
JOIN core.fit f ON f.fit_id = r.fit_id
JOIN core.dataset d ON d.dataset_id = r.dataset_id
JOIN core.context x ON x.context_id = f.context_id
CROSS JOIN LATERAL (
    SELECT v.*
    FROM (
        -- Unnested in the list, not after FROM: there each array would first become a table of its own.
        SELECT
            unnest(i.effect_ids) AS effect_id, unnest(i.condition_ids) AS condition_id,
            unnest(h.source_compound_ids) AS source_compound_id, unnest(h.doses_um) AS dose_um,
            unnest(h.times_h) AS time_h, unnest(r.log2_fc) AS log2_fc, unnest(r.se) AS se,
            unnest(r.neg_log10_p) AS neg_log10_p, unnest(r.neg_log10_p_adj) AS neg_log10_p_adj, part.thousands()
        FROM core.fit i
        JOIN core.fit_conditions h ON h.fit_id = i.fit_id
        WHERE i.fit_id = r.fit_id
    ) v
    WHERE v.log2_fc <> 'NaN'
    OFFSET 0
) u
-- What a row names is there (foreign keys): a query that asks for none of a table's columns skips it.
LEFT JOIN core.source_compound s ON s.source_compound_id = u.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
WHERE f.is_default;
COMMENT ON VIEW pbdb.gene_response IS
    'Effects, one row per gene and condition: quick for a gene, everywhere or in one context. The rows are those of'
    ' condition_effect';
