CREATE VIEW pbdb.compound_alias WITH (security_invoker = true) AS
SELECT u.alias, u.kind, k.name AS compound_name, k.inchikey, NULL AS dataset, k.compound_id,
    NULL::bigint AS source_compound_id
FROM core.compound k
CROSS JOIN LATERAL (VALUES
    (k.name, 'preferred'), (k.inchikey, 'inchikey'), (k.pubchem_cid::text, 'pubchem_cid'),
    (k.pubchem_title, 'pubchem_title')
) u (alias, kind)
WHERE k.replaced_by IS NULL AND u.alias IS NOT NULL
UNION ALL
SELECT o.inchikey, 'former_inchikey', k.name, k.inchikey, NULL, k.compound_id, NULL
FROM core.compound o
JOIN core.compound k ON k.compound_id = o.replaced_by
UNION ALL
SELECT r.value, 'reference_name', k.name, k.inchikey, NULL, k.compound_id, NULL
FROM core.reference_annotation r
JOIN core.compound k ON coalesce(k.parent_inchikey, k.inchikey) = r.parent_key
WHERE r.kind = 'name' AND k.replaced_by IS NULL
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
    'preferred, inchikey, pubchem_cid or pubchem_title of the compound; former_inchikey of one that became it; '
    'reference_name in a reference table; source_name, source_key or cas as a data set writes it';
COMMENT ON COLUMN pbdb.compound_alias.compound_id IS 'Key of the compound; null where unresolved';
COMMENT ON COLUMN pbdb.compound_alias.source_compound_id IS 'Key of the compound as its dataset wrote it';
