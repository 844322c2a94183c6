CREATE VIEW pbdb.condition WITH (security_invoker = true) AS
SELECT
    c.condition_id, d.dataset, s.compound_name, s.name AS source_compound_name, k.inchikey, k.parent_inchikey,
    k.pubchem_cid, x.context, x.context_name, c.dose_um, c.time_h, c.stratum, c.is_vehicle, c.n_samples,
    c.source_compound_id, c.attributes
FROM core.condition c
JOIN core.dataset d ON d.dataset_id = c.dataset_id
JOIN core.context x ON x.context_id = c.context_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.condition IS 'Conditions in readable words: data set, compound, context, dose and time (and stratum)';
COMMENT ON COLUMN pbdb.condition.source_compound_name IS 'Name as the source writes it';
COMMENT ON COLUMN pbdb.condition.n_samples IS 'Samples of the condition, whether they are in a fit or not';
COMMENT ON COLUMN pbdb.condition.source_compound_id IS 'Key of the compound as its dataset wrote it';
