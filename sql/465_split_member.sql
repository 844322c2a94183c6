CREATE VIEW pbdb.split_member WITH (security_invoker = true) AS
SELECT
    t.split, m.fold, d.dataset, m.condition_id, s.compound_name, k.inchikey, k.parent_inchikey, x.context,
    x.context_name, c.dose_um, c.time_h, c.stratum
FROM core.split_member m
JOIN core.split t ON t.split_id = m.split_id
JOIN core.condition c ON c.condition_id = m.condition_id
JOIN core.dataset d ON d.dataset_id = c.dataset_id
JOIN core.context x ON x.context_id = c.context_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.split_member IS 'The fold of each condition in a split; vehicle conditions are in none';
