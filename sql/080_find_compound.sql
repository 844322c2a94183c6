CREATE FUNCTION pbdb.find_compound(query text)
RETURNS TABLE (compound_name text, inchikey text, aliases text[], datasets text[], is_exact boolean)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 10
BEGIN ATOMIC
    SELECT
        f.compound_name, f.inchikey, array_agg(DISTINCT f.alias), array_agg(DISTINCT f.dataset)
            FILTER (WHERE f.dataset IS NOT NULL), bool_or(f.is_exact)
    FROM (
        SELECT a.compound_name, a.inchikey, a.alias, a.dataset, lower(a.alias) = lower(query) AS is_exact
        FROM pbdb.compound_alias a
        WHERE position(lower(query) IN lower(a.alias)) > 0
    ) f
    GROUP BY f.compound_name, f.inchikey
    ORDER BY bool_or(f.is_exact) DESC, f.compound_name;
END;
COMMENT ON FUNCTION pbdb.find_compound(text) IS
    'Compounds with an alias that contains the text, upper or lower case; exact ones first';
