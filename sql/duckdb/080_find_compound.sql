CREATE MACRO find_compound(query) AS TABLE
SELECT f.compound_name, f.inchikey, f.aliases, coalesce(h.datasets, f.datasets) AS datasets, f.is_exact
FROM (
    SELECT
        a.compound_name, a.inchikey, a.compound_id, array_agg(DISTINCT a.alias ORDER BY a.alias) AS aliases,
        array_agg(DISTINCT a.dataset ORDER BY a.dataset) FILTER (WHERE a.dataset IS NOT NULL) AS datasets,
        bool_or(lower(a.alias) = lower(query)) AS is_exact
    FROM compound_alias a
    WHERE contains(lower(a.alias), lower(query))
    GROUP BY a.compound_name, a.inchikey, a.compound_id
) f
LEFT JOIN (
    SELECT s.compound_id, array_agg(DISTINCT d.dataset ORDER BY d.dataset) AS datasets
    FROM core.source_compound s
    JOIN core.dataset d ON d.dataset_id = s.dataset_id
    GROUP BY s.compound_id
) h ON h.compound_id = f.compound_id
ORDER BY f.is_exact DESC, f.compound_name;
