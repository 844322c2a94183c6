-- Ranked over the gene's arrays first, named after: n rows meet conditions and compounds, not all of them.
CREATE FUNCTION pbdb.strongest_conditions(
    gene text, n integer DEFAULT 20, direction text DEFAULT NULL, of_datasets text[] DEFAULT NULL,
    of_contexts text[] DEFAULT NULL, of_compounds text[] DEFAULT NULL
) RETURNS TABLE (
    effect_id bigint, condition_id bigint, dataset text, compound_name text, inchikey text, parent_inchikey text,
    context text, context_name text, dose_um double precision, time_h double precision, gene_id text, gene_symbol text,
    log2_fc real, se real, p_adj double precision
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    WITH response AS NOT MATERIALIZED (
        SELECT v.*, v.neg_log10_p_adj >= 1.30103 AND v.neg_log10_p_adj <> 'NaN' AS is_significant
        FROM (
            -- Unnested in the list, not after FROM: there each array would first become a table of its own.
            SELECT
                r.dataset_id, f.context_id, r.gene_key, unnest(f.effect_ids) AS effect_id,
                unnest(f.condition_ids) AS condition_id, unnest(r.log2_fc) AS log2_fc, unnest(r.se) AS se,
                unnest(r.neg_log10_p_adj) AS neg_log10_p_adj
            FROM core.gene g
            CROSS JOIN LATERAL (SELECT i.* FROM core.gene_effect i WHERE i.gene_key = g.gene_key OFFSET 0) r
            JOIN core.fit f ON f.fit_id = r.fit_id
            JOIN core.dataset d ON d.dataset_id = r.dataset_id
            JOIN core.context x ON x.context_id = f.context_id
            WHERE f.is_default AND (g.gene_id = gene OR g.symbol = gene)
              AND (of_datasets IS NULL OR d.dataset = ANY (of_datasets))
              AND (of_contexts IS NULL OR x.context = ANY (of_contexts) OR x.context_name = ANY (of_contexts))
        ) v
        WHERE v.log2_fc <> 'NaN'
          AND (direction IS NULL OR direction = 'up' AND v.log2_fc > 0 OR direction = 'down' AND v.log2_fc < 0)
          AND (of_compounds IS NULL OR v.condition_id IN (
              SELECT t.condition_id
              FROM core.source_compound o
              JOIN core.condition t ON t.source_compound_id = o.source_compound_id
              WHERE o.compound_name = ANY (of_compounds)
          ))
    ), significant AS MATERIALIZED (
        -- Few of many, so that few are sorted. Those of some compounds are few anyhow, and are read once, below.
        SELECT * FROM response v
        WHERE v.is_significant AND of_compounds IS NULL
        ORDER BY abs(v.log2_fc) DESC, v.effect_id
        LIMIT n
    )
    SELECT
        u.effect_id, u.condition_id, d.dataset, s.compound_name, k.inchikey, k.parent_inchikey, x.context,
        x.context_name, c.dose_um, c.time_h, g.gene_id, g.symbol, u.log2_fc, u.se, pbdb.p_value(u.neg_log10_p_adj)
    FROM (
        SELECT * FROM significant
        UNION ALL
        -- Not read where there are enough significant ones, as mostly.
        (
            SELECT * FROM response v
            WHERE (NOT v.is_significant OR of_compounds IS NOT NULL) AND (SELECT count(*) FROM significant) < n
            ORDER BY v.is_significant DESC, abs(v.log2_fc) DESC, v.effect_id
            LIMIT n
        )
        LIMIT n
    ) u
    JOIN core.condition c ON c.condition_id = u.condition_id
    JOIN core.dataset d ON d.dataset_id = u.dataset_id
    JOIN core.context x ON x.context_id = u.context_id
    JOIN core.gene g ON g.gene_key = u.gene_key
    JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
    LEFT JOIN core.compound k ON k.compound_id = s.compound_id
    ORDER BY u.is_significant DESC, abs(u.log2_fc) DESC, u.effect_id;
END;
COMMENT ON FUNCTION pbdb.strongest_conditions(text, integer, text, text[], text[], text[]) IS
    'The n conditions that move a gene (Ensembl id or symbol) most by log2 fold change, those with p_adj up to 0.05'
    ' first; direction: up or down only; of some data sets, contexts (id or name) or compounds';
