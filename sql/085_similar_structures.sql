-- Every fingerprint is read: exact, and at tens of thousands of compounds faster than the eye. Names and keys are
-- fetched for the k nearest only.
CREATE FUNCTION pbdb.similar_structures(query bit, k integer DEFAULT 20)
RETURNS TABLE (compound_name text, inchikey text, parent_inchikey text, tanimoto double precision)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    SELECT c.name, c.inchikey, c.parent_inchikey, 1 - f.distance
    FROM (
        SELECT n.compound_id, n.fingerprint OPERATOR(public.<%>) query AS distance
        FROM core.compound n
        WHERE n.fingerprint IS NOT NULL AND n.replaced_by IS NULL AND query IS NOT NULL
        ORDER BY 2, 1
        LIMIT k
    ) f
    JOIN core.compound c ON c.compound_id = f.compound_id
    ORDER BY f.distance, f.compound_id;
END;
COMMENT ON FUNCTION pbdb.similar_structures(bit, integer) IS
    'The k compounds nearest to a fingerprint (Morgan, radius 2, 2048 bits) by Tanimoto similarity, exactly';
