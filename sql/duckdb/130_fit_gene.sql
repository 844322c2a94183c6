CREATE VIEW fit_gene AS
SELECT
    f.fit_id, d.dataset, x.context, x.context_name, f.stratum, f.method, f.mode, f.is_default, g.gene_id,
    g.symbol AS gene_symbol, t.place IS NOT NULL AS tested, nullif(f.ave_expr[t.place], 'NaN'::FLOAT) AS ave_expr,
    nullif(f.sigma[t.place], 'NaN'::FLOAT) AS sigma
FROM core.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
CROSS JOIN core.gene g
LEFT JOIN core.feature_set_gene t ON t.feature_set_id = f.feature_set_id AND t.gene_key = g.gene_key;
