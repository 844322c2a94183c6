CREATE VIEW core.effect WITH (security_invoker = true) AS
SELECT
    s.dataset_id, s.effect_id, s.fit_id, s.condition_id, s.sample_id, s.status, s.n_treated, s.n_vehicle, s.n_plates,
    s.n_vehicle_same_plates, s.n_genes, s.prior_var, s.n_up, s.n_down, s.n_up_fit, s.n_down_fit, s.n_landmarks,
    s.null_spread, s.log2_fc, s.se, s.neg_log10_p, s.neg_log10_p_adj, s.neg_log10_p_limma, s.neg_log10_p_adj_limma,
    s.landmark_t
FROM part.effect s
WHERE s.generation = ANY ((SELECT part.current_generations(part.planned_generation()))::bigint[]);
COMMENT ON VIEW core.effect IS 'The effect of one condition (or one well) in one fit: arrays over the fit''s genes';
