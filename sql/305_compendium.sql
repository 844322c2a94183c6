CREATE VIEW pbdb.compendium WITH (security_invoker = true) AS
SELECT
    count(DISTINCT c.dataset) AS n_datasets,
    count(DISTINCT c.context) AS n_contexts,
    (
        SELECT count(DISTINCT coalesce(k.parent_inchikey, k.inchikey, s.dataset_id || ' ' || s.source_key))
        FROM core.source_compound s
        LEFT JOIN core.compound k ON k.compound_id = s.compound_id
        JOIN core.dataset p ON p.dataset_id = s.dataset_id AND p.is_primary
        WHERE EXISTS (SELECT 1 FROM core.condition t WHERE t.source_compound_id = s.source_compound_id AND NOT t.is_vehicle)
    ) AS n_compounds,
    coalesce(sum(c.n_conditions), 0)::bigint AS n_conditions,
    coalesce(sum(c.n_samples), 0)::bigint AS n_samples,
    coalesce(sum(c.n_vehicle), 0)::bigint AS n_vehicle,
    coalesce(sum(c.n_effects), 0)::bigint AS n_effects,
    coalesce(sum(c.n_vehicle), 0)::bigint AS n_control
FROM pbdb.coverage c
JOIN core.dataset d ON d.dataset = c.dataset
WHERE d.is_primary;
COMMENT ON VIEW pbdb.compendium IS 'Totals over all data sets; of those that share wells, the primary one counts';
COMMENT ON COLUMN pbdb.compendium.n_datasets IS 'Data sets counted';
COMMENT ON COLUMN pbdb.compendium.n_contexts IS 'Distinct contexts';
COMMENT ON COLUMN pbdb.compendium.n_compounds IS 'Distinct treated compounds: parents, or as the data set writes them where unresolved';
COMMENT ON COLUMN pbdb.compendium.n_conditions IS 'Treated conditions';
COMMENT ON COLUMN pbdb.compendium.n_samples IS 'Samples of all conditions, vehicle included';
COMMENT ON COLUMN pbdb.compendium.n_vehicle IS 'Vehicle samples';
COMMENT ON COLUMN pbdb.compendium.n_control IS 'old name of n_vehicle, to be removed';
