CREATE VIEW pbdb.coverage WITH (security_invoker = true) AS
SELECT
    d.dataset, x.context, x.context_name, n.n_compounds, n.n_conditions, n.n_samples, n.n_vehicle, f.n_effects, f.n_genes,
    n.min_dose_um, n.max_dose_um, n.min_time_h, n.max_time_h,
    n.n_vehicle AS n_control
FROM core.dataset d
CROSS JOIN core.context x
-- Pair by pair, each a stretch of one index: so a filter by data set or context counts its own conditions only.
CROSS JOIN LATERAL (
    SELECT
        count(DISTINCT c.source_compound_id) FILTER (WHERE NOT c.is_vehicle) AS n_compounds,
        count(*) FILTER (WHERE NOT c.is_vehicle) AS n_conditions,
        sum(c.n_samples)::bigint AS n_samples,
        coalesce(sum(c.n_samples) FILTER (WHERE c.is_vehicle), 0)::bigint AS n_vehicle,
        min(c.dose_um) FILTER (WHERE NOT c.is_vehicle) AS min_dose_um,
        max(c.dose_um) FILTER (WHERE NOT c.is_vehicle) AS max_dose_um,
        min(c.time_h) AS min_time_h, max(c.time_h) AS max_time_h
    FROM core.condition c
    WHERE c.context_id = x.context_id AND c.dataset_id = d.dataset_id
    HAVING count(*) > 0
) n
LEFT JOIN LATERAL (
    SELECT sum(cardinality(i.effect_ids))::bigint AS n_effects, max(g.n_genes) AS n_genes
    FROM core.fit i
    JOIN core.feature_set g ON g.feature_set_id = i.feature_set_id
    WHERE i.is_default AND i.dataset_id = d.dataset_id AND i.context_id = x.context_id
) f ON true;
COMMENT ON VIEW pbdb.coverage IS 'What is here: one row per data set and context, with counts';
COMMENT ON COLUMN pbdb.coverage.n_compounds IS 'Compounds as the data set counts them, vehicle left out';
COMMENT ON COLUMN pbdb.coverage.n_conditions IS 'Treated conditions';
COMMENT ON COLUMN pbdb.coverage.n_samples IS 'Samples of all conditions, vehicle included';
COMMENT ON COLUMN pbdb.coverage.n_vehicle IS 'Vehicle samples';
COMMENT ON COLUMN pbdb.coverage.n_genes IS 'Genes tested, in the fit that tests most';
COMMENT ON COLUMN pbdb.coverage.min_dose_um IS 'Lowest dose in micromolar';
COMMENT ON COLUMN pbdb.coverage.max_dose_um IS 'Highest dose in micromolar';
COMMENT ON COLUMN pbdb.coverage.min_time_h IS 'Shortest exposure in hours';
COMMENT ON COLUMN pbdb.coverage.max_time_h IS 'Longest exposure in hours';
COMMENT ON COLUMN pbdb.coverage.n_control IS 'old name of n_vehicle, to be removed';
