-- Gene by gene, two effects side by side. A function, for the planner cannot know how long arrays are and would join
-- them in a nested loop: 2 s for a match of 15,000 genes. Equal genes are zipped without any join.
CREATE FUNCTION pbdb.pair_genes(
    genes_a integer[], fc_a real[], se_a real[], adj_a real[], genes_b integer[], fc_b real[], se_b real[], adj_b real[]
) RETURNS TABLE (
    gene_key integer, log2_fc_a real, se_a real, neg_log10_p_adj_a real, log2_fc_b real, se_b real,
    neg_log10_p_adj_b real
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER ROWS 10000
SET enable_nestloop = off
BEGIN ATOMIC
    SELECT u.gene_key, u.fc_a, u.se_a, u.adj_a, u.fc_b, u.se_b, u.adj_b
    FROM unnest(genes_a, fc_a, se_a, adj_a, fc_b, se_b, adj_b) u (gene_key, fc_a, se_a, adj_a, fc_b, se_b, adj_b)
    WHERE genes_a = genes_b AND u.fc_a <> 'NaN' AND u.fc_b <> 'NaN'
    UNION ALL
    SELECT a.gene_key, a.fc, a.se, a.adj, b.fc, b.se, b.adj
    FROM unnest(genes_a, fc_a, se_a, adj_a) a (gene_key, fc, se, adj)
    JOIN unnest(genes_b, fc_b, se_b, adj_b) b (gene_key, fc, se, adj) ON b.gene_key = a.gene_key
    WHERE genes_a <> genes_b AND a.fc <> 'NaN' AND b.fc <> 'NaN';
END;
COMMENT ON FUNCTION pbdb.pair_genes(integer[], real[], real[], real[], integer[], real[], real[], real[]) IS
    'Two effects side by side: one row for each gene both have estimated';
