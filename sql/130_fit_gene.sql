CREATE VIEW pbdb.fit_gene WITH (security_invoker = true) AS
SELECT
    f.fit_id, d.dataset, x.context, x.context_name, f.stratum, f.method, f.mode, f.is_default, g.gene_id,
    g.symbol AS gene_symbol, t.gene_key IS NOT NULL AS tested, t.ave_expr, t.sigma
FROM core.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
CROSS JOIN core.gene g
LEFT JOIN (
    SELECT h.fit_id, u.gene_key, nullif(u.ave_expr, 'NaN') AS ave_expr, nullif(u.sigma, 'NaN') AS sigma
    FROM core.fit h
    JOIN core.feature_set s ON s.feature_set_id = h.feature_set_id
    CROSS JOIN LATERAL unnest(s.gene_keys, h.ave_expr, h.sigma) u (gene_key, ave_expr, sigma)
) t ON t.fit_id = f.fit_id AND t.gene_key = g.gene_key;
COMMENT ON VIEW pbdb.fit_gene IS
    'Every gene in every fit: tells a gene without effect (tested) from one that was filtered out or never measured';
COMMENT ON COLUMN pbdb.fit_gene.tested IS 'True where the gene passed the expression filter and was fitted';
COMMENT ON COLUMN pbdb.fit_gene.ave_expr IS 'Mean log2 expression of the gene over the samples of the fit';
COMMENT ON COLUMN pbdb.fit_gene.sigma IS 'Residual standard deviation of the gene';
