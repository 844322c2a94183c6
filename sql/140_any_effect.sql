CREATE VIEW pbdb.any_effect WITH (security_invoker = true) AS
SELECT
    e.effect_id, d.dataset, f.method, f.mode, e.condition_id, e.sample_id, s.compound_name,
    s.name AS source_compound_name, k.inchikey, k.parent_inchikey, x.context, x.context_name, c.dose_um, c.time_h,
    c.stratum, e.status, e.n_treated, e.n_vehicle, e.n_plates, e.n_vehicle_same_plates, e.n_genes, e.n_up, e.n_down,
    e.n_up_fit, e.n_down_fit, f.p_values, e.null_spread, f.is_default, f.is_stale, e.fit_id,
    e.n_vehicle AS n_control, e.n_vehicle_same_plates AS n_control_same_plates
FROM core.effect e
JOIN core.fit f ON f.fit_id = e.fit_id AND f.dataset_id = e.dataset_id
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.any_effect IS 'Effects of all fits, default and further ones: one condition may have several';
COMMENT ON COLUMN pbdb.any_effect.status IS 'ok, or the reason why the effect could not be estimated';
COMMENT ON COLUMN pbdb.any_effect.n_control IS 'old name of n_vehicle, to be removed';
COMMENT ON COLUMN pbdb.any_effect.n_control_same_plates IS 'old name of n_vehicle_same_plates, to be removed';
