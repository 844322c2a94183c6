CREATE VIEW pbdb.compound_alias WITH (security_invoker = true) AS
SELECT k.name AS alias, 'preferred' AS kind, k.name AS compound_name, k.inchikey, NULL AS dataset, k.compound_id,
    NULL::bigint AS source_compound_id
FROM core.compound k
WHERE k.replaced_by IS NULL AND k.name IS NOT NULL
UNION ALL
SELECT k.inchikey, 'inchikey', k.name, k.inchikey, NULL, k.compound_id, NULL
FROM core.compound k
WHERE k.replaced_by IS NULL
UNION ALL
SELECT k.pubchem_cid::text, 'pubchem_cid', k.name, k.inchikey, NULL, k.compound_id, NULL
FROM core.compound k
WHERE k.replaced_by IS NULL AND k.pubchem_cid IS NOT NULL
UNION ALL
SELECT u.alias, u.kind, s.compound_name, k.inchikey, d.dataset, s.compound_id, s.source_compound_id
FROM core.source_compound s
JOIN core.dataset d ON d.dataset_id = s.dataset_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
CROSS JOIN LATERAL (VALUES (s.name, 'source_name'), (s.source_key, 'source_key'), (s.cas, 'cas')) u (alias, kind)
WHERE u.alias IS NOT NULL;
COMMENT ON VIEW pbdb.compound_alias IS 'Every name and number a compound goes by, in any data set';
COMMENT ON COLUMN pbdb.compound_alias.alias IS 'A name, or a number in words';
COMMENT ON COLUMN pbdb.compound_alias.kind IS
    'preferred, inchikey or pubchem_cid of the compound; source_name, source_key or cas as a data set writes it';
COMMENT ON COLUMN pbdb.compound_alias.compound_id IS 'Key of the compound; null where unresolved';
COMMENT ON COLUMN pbdb.compound_alias.source_compound_id IS 'Key of the compound as its dataset wrote it';
