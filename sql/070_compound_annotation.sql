CREATE VIEW pbdb.compound_annotation WITH (security_invoker = true) AS
SELECT DISTINCT
    s.compound_name, k.parent_inchikey, a.kind, a.value, a.origin, d.dataset
FROM core.compound_annotation a
JOIN core.source_compound s ON s.source_compound_id = a.source_compound_id
JOIN core.dataset d ON d.dataset_id = s.dataset_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.compound_annotation IS 'What sources say of a compound, at the level of its salt-free parent';
COMMENT ON COLUMN pbdb.compound_annotation.kind IS 'moa, target, pathway, approval or toxicity_label';
COMMENT ON COLUMN pbdb.compound_annotation.value IS 'One statement, as published';
COMMENT ON COLUMN pbdb.compound_annotation.origin IS 'Table or file that states it';
