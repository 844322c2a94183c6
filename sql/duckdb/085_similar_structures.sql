CREATE MACRO similar_structures(query, k := 20) AS TABLE
SELECT
    n.name AS compound_name, n.inchikey, n.parent_inchikey,
    bit_count(n.fingerprint & query)::DOUBLE / bit_count(n.fingerprint | query) AS tanimoto
FROM core.compound n
WHERE n.fingerprint IS NOT NULL AND n.replaced_by IS NULL AND query IS NOT NULL
ORDER BY tanimoto DESC, n.compound_id
LIMIT k;
