CREATE VIEW core.gene_effect WITH (security_invoker = true) AS
SELECT
    s.dataset_id, s.gene_key, s.fit_id, s.log2_fc, s.se, s.neg_log10_p, s.neg_log10_p_adj
FROM part.gene_effect s
WHERE s.generation = ANY ((SELECT part.current_generations(part.planned_generation()))::bigint[]);
COMMENT ON VIEW core.gene_effect IS 'The transpose of effect: one gene of a fit over the fit''s effect_ids';
