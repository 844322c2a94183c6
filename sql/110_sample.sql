CREATE VIEW pbdb.sample WITH (security_invoker = true) AS
SELECT
    m.sample_id, d.dataset, m.source_sample, p.plate, m.well, m.condition_id, s.compound_name,
    s.name AS source_compound_name, k.inchikey, k.parent_inchikey, x.context, x.context_name, m.dose_um, m.time_h,
    m.stratum, m.is_vehicle, m.n_cells, m.n_counts, m.in_fit, m.flags, m.attributes
FROM core.sample m
JOIN core.dataset d ON d.dataset_id = m.dataset_id
JOIN core.plate p ON p.plate_id = m.plate_id
JOIN core.context x ON x.context_id = m.context_id
LEFT JOIN core.source_compound s ON s.source_compound_id = m.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.sample IS 'Measured (or pseudobulk) profiles: one well each, with the reasons why it is in no fit';
