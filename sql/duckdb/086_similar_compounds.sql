CREATE MACRO similar_compounds(query, k := 20) AS TABLE
SELECT
    n.name AS compound_name, n.inchikey, n.parent_inchikey,
    bit_count(n.fingerprint & q.fingerprint)::DOUBLE / bit_count(n.fingerprint | q.fingerprint) AS tanimoto
FROM core.compound n
JOIN core.compound q ON q.inchikey = query AND n.inchikey <> query
WHERE n.fingerprint IS NOT NULL AND n.replaced_by IS NULL AND q.fingerprint IS NOT NULL
ORDER BY tanimoto DESC, n.inchikey
LIMIT k;
