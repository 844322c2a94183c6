CREATE FUNCTION pbdb.find_compound(query text)
RETURNS TABLE (compound_name text, inchikey text, aliases text[], datasets text[], is_exact boolean)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 10
BEGIN ATOMIC
    SELECT f.compound_name, f.inchikey, f.aliases, coalesce(h.datasets, f.datasets), f.is_exact
    FROM (
        SELECT
            a.compound_name, a.inchikey, a.compound_id, array_agg(DISTINCT a.alias) AS aliases,
            array_agg(DISTINCT a.dataset) FILTER (WHERE a.dataset IS NOT NULL) AS datasets,
            bool_or(lower(a.alias) = lower(query)) AS is_exact
        FROM pbdb.compound_alias a
        WHERE position(lower(query) IN lower(a.alias)) > 0
        GROUP BY a.compound_name, a.inchikey, a.compound_id
    ) f
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT d.dataset) AS datasets
        FROM core.source_compound s
        JOIN core.dataset d ON d.dataset_id = s.dataset_id
        WHERE s.compound_id = f.compound_id
    ) h
    ORDER BY f.is_exact DESC, f.compound_name;
END;
COMMENT ON FUNCTION pbdb.find_compound(text) IS
    'Compounds with an alias that contains the text, upper or lower case, and the data sets that have them; exact ones first';
