CREATE VIEW pbdb.gene WITH (security_invoker = true) AS
SELECT
    g.gene_id, g.symbol AS gene_symbol, g.name AS gene_name, g.biotype, g.chromosome, g.entrez_id, g.hgnc_id,
    g.is_landmark, g.landmark_index, g.status, g.gene_key
FROM core.gene g;
COMMENT ON VIEW pbdb.gene IS 'Genes by Ensembl id of the current release; symbols are labels';
COMMENT ON COLUMN pbdb.gene.gene_symbol IS 'Gene symbol (HGNC for human genes): a label, not an identity';
COMMENT ON COLUMN pbdb.gene.gene_name IS 'Full name of the gene';
COMMENT ON COLUMN pbdb.gene.status IS 'current in the imported release; unchecked while none was imported; retired by it';
