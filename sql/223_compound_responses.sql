-- Of each fit the places of the conditions first, which are one array, then what stands at them in the others.
CREATE FUNCTION pbdb.compound_responses(
    gene text, of_compounds text[], of_datasets text[] DEFAULT NULL, of_contexts text[] DEFAULT NULL
) RETURNS TABLE (
    effect_id bigint, condition_id bigint, dataset text, compound_name text, inchikey text, parent_inchikey text,
    context text, context_name text, dose_um double precision, time_h double precision, gene_id text, gene_symbol text,
    log2_fc real, se real, p_adj double precision
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 1000
BEGIN ATOMIC
    SELECT
        u.effect_id, u.condition_id, d.dataset, s.compound_name, k.inchikey, k.parent_inchikey, x.context,
        x.context_name, c.dose_um, c.time_h, g.gene_id, g.symbol, u.log2_fc, u.se, pbdb.p_value(u.neg_log10_p_adj)
    FROM core.gene g
    CROSS JOIN LATERAL (SELECT i.* FROM core.gene_effect i WHERE i.gene_key = g.gene_key OFFSET 0) r
    JOIN core.fit f ON f.fit_id = r.fit_id
    JOIN core.dataset d ON d.dataset_id = r.dataset_id
    JOIN core.context x ON x.context_id = f.context_id
    CROSS JOIN LATERAL (
        SELECT
            a.effect_ids[p.place] AS effect_id, p.condition_id, a.log2_fc[p.place] AS log2_fc, a.se[p.place] AS se,
            a.neg_log10_p_adj[p.place] AS neg_log10_p_adj
        FROM (
            -- Arrays to which nothing is added are unpacked: once for all places, not for each.
            SELECT
                f.condition_ids || '{}'::bigint[] AS condition_ids, f.effect_ids || '{}'::bigint[] AS effect_ids,
                r.log2_fc || '{}'::real[] AS log2_fc, r.se || '{}'::real[] AS se,
                r.neg_log10_p_adj || '{}'::real[] AS neg_log10_p_adj
            OFFSET 0
        ) a
        CROSS JOIN LATERAL (
            SELECT i.*
            FROM (
                SELECT unnest(a.condition_ids) AS condition_id, generate_subscripts(a.condition_ids, 1) AS place
            ) i
            WHERE i.condition_id IN (
                SELECT t.condition_id
                FROM core.source_compound o
                JOIN core.condition t ON t.source_compound_id = o.source_compound_id
                WHERE o.compound_name = ANY (of_compounds)
            )
            OFFSET 0
        ) p
        OFFSET 0
    ) u
    JOIN core.condition c ON c.condition_id = u.condition_id
    JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
    LEFT JOIN core.compound k ON k.compound_id = s.compound_id
    WHERE f.is_default AND (g.gene_id = gene OR g.symbol = gene) AND u.log2_fc <> 'NaN'
      AND (of_datasets IS NULL OR d.dataset = ANY (of_datasets))
      AND (of_contexts IS NULL OR x.context = ANY (of_contexts) OR x.context_name = ANY (of_contexts))
    ORDER BY s.compound_name, d.dataset, x.context, c.time_h, c.dose_um, u.effect_id;
END;
COMMENT ON FUNCTION pbdb.compound_responses(text, text[], text[], text[]) IS
    'A gene (Ensembl id or symbol) in every condition of some compounds, by compound, data set, context, time and dose;'
    ' of some data sets or contexts (id or name)';
