CREATE FUNCTION pbdb.similar_structures(query bit, k integer DEFAULT 20)
RETURNS TABLE (compound_name text, inchikey text, parent_inchikey text, tanimoto double precision)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    SELECT f.name, f.inchikey, f.parent_inchikey, 1 - f.distance
    FROM (
        SELECT c.name, c.inchikey, c.parent_inchikey, c.fingerprint OPERATOR(public.<%>) query AS distance
        FROM core.compound c
        WHERE c.fingerprint IS NOT NULL AND c.replaced_by IS NULL
        ORDER BY 4, 2
        LIMIT k
    ) f
    ORDER BY f.distance, f.inchikey;
END;
COMMENT ON FUNCTION pbdb.similar_structures(bit, integer) IS
    'The k compounds nearest to a fingerprint (Morgan, radius 2, 2048 bits) by Tanimoto similarity, exactly; equally near ones by InChIKey';
