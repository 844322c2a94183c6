CREATE VIEW pbdb.compound_annotation WITH (security_invoker = true) AS
SELECT s.compound_name, k.parent_inchikey, a.kind, a.value, a.origin, d.dataset
FROM core.compound_annotation a
JOIN core.source_compound s ON s.source_compound_id = a.source_compound_id
JOIN core.dataset d ON d.dataset_id = s.dataset_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
UNION
SELECT k.name, k.parent_inchikey, r.kind, r.value, v.kind || ' ' || v.release, NULL
FROM core.reference_annotation r
JOIN core.vocabulary v ON v.vocabulary_id = r.vocabulary_id
JOIN core.compound k ON coalesce(k.parent_inchikey, k.inchikey) = r.parent_key
WHERE r.kind <> 'name' AND k.replaced_by IS NULL;
COMMENT ON VIEW pbdb.compound_annotation IS
    'What sources and reference tables say of a compound, at the level of its salt-free parent';
COMMENT ON COLUMN pbdb.compound_annotation.kind IS 'moa, target, pathway, approval or toxicity_label';
COMMENT ON COLUMN pbdb.compound_annotation.value IS 'One statement, as published';
COMMENT ON COLUMN pbdb.compound_annotation.origin IS 'Table or file that states it';
COMMENT ON COLUMN pbdb.compound_annotation.dataset IS 'Short name of the data set that states it; null for a reference table';
