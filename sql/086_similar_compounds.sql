CREATE FUNCTION pbdb.similar_compounds(query text, k integer DEFAULT 20)
RETURNS TABLE (compound_name text, inchikey text, parent_inchikey text, tanimoto double precision)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    SELECT f.compound_name, f.inchikey, f.parent_inchikey, f.tanimoto
    FROM pbdb.similar_structures(
        (SELECT c.fingerprint FROM core.compound c WHERE c.inchikey = query), k + 1
    ) f
    WHERE f.inchikey <> query
    ORDER BY f.tanimoto DESC, f.inchikey
    LIMIT k;
END;
COMMENT ON FUNCTION pbdb.similar_compounds(text, integer) IS
    'The k compounds nearest to the one with this InChIKey by Tanimoto similarity of their parents, exactly, itself left out';
