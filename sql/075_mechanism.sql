CREATE VIEW pbdb.mechanism WITH (security_invoker = true) AS
SELECT
    a.compound_name, min(a.parent_inchikey) AS parent_inchikey, a.value AS mechanism, count(*) AS n_statements
FROM pbdb.compound_annotation a
WHERE a.kind = 'moa'
GROUP BY a.compound_name, a.value;
COMMENT ON VIEW pbdb.mechanism IS
    'Mechanisms of compounds, each once: joined by compound_name to any view of effects, no row comes twice for one'
    ' mechanism. What sources and reference tables say besides: compound_annotation';
COMMENT ON COLUMN pbdb.mechanism.mechanism IS 'Mechanism of action, as published';
COMMENT ON COLUMN pbdb.mechanism.n_statements IS 'Sources and reference tables that state it';
