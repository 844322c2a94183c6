CREATE MACRO compare(effect_a, effect_b) AS TABLE
SELECT
    a.gene_id, a.gene_symbol, a.log2_fc AS log2_fc_a, a.p_adj AS p_adj_a, b.log2_fc AS log2_fc_b, b.p_adj AS p_adj_b,
    sign(a.log2_fc) = sign(b.log2_fc) AS same_direction
FROM condition_effect a
JOIN condition_effect b ON b.gene_id = a.gene_id
WHERE a.effect_id = effect_a AND b.effect_id = effect_b;
