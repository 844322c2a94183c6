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
    -- Unnested in the list, not after FROM: there each array would first become a table of its own.
    SELECT u.*
    FROM (
        SELECT
            unnest(genes_a) AS gene_key, unnest(fc_a) AS fc_a, unnest(se_a), unnest(adj_a), unnest(fc_b) AS fc_b,
            unnest(se_b), unnest(adj_b)
        WHERE genes_a = genes_b
    ) u
    WHERE u.fc_a <> 'NaN' AND u.fc_b <> 'NaN'
    UNION ALL
    SELECT a.gene_key, a.fc, a.se, a.adj, b.fc, b.se, b.adj
    FROM (
        SELECT unnest(genes_a) AS gene_key, unnest(fc_a) AS fc, unnest(se_a) AS se, unnest(adj_a) AS adj
        WHERE genes_a <> genes_b
    ) a
    JOIN (
        SELECT unnest(genes_b) AS gene_key, unnest(fc_b) AS fc, unnest(se_b) AS se, unnest(adj_b) AS adj
    ) b ON b.gene_key = a.gene_key
    WHERE a.fc <> 'NaN' AND b.fc <> 'NaN';
END;
COMMENT ON FUNCTION pbdb.pair_genes(integer[], real[], real[], real[], integer[], real[], real[], real[]) IS
    'Two effects side by side: one row for each gene both have estimated';
