CREATE VIEW pbdb.fit WITH (security_invoker = true) AS
SELECT
    f.fit_id, d.dataset, x.context, x.context_name, f.stratum, f.method, f.mode, f.p_values, f.is_default, f.is_stale,
    f.n_samples, f.n_vehicle, f.n_plates, f.n_components, cardinality(f.effect_ids) AS n_effects, g.n_genes, f.n_genes_in,
    f.filter_rule, f.cpm_cutoff, f.min_samples, f.span, f.df_residual, f.df_prior, f.neg_log10_p_cutoff, f.n_null_wells,
    f.null_any_share, f.null_any_share_low, f.null_any_share_high, f.null_tail_ratio, f.parameters,
    f.report, f.code_version, f.created_at,
    f.n_vehicle AS n_control
FROM core.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.feature_set g ON g.feature_set_id = f.feature_set_id;
COMMENT ON VIEW pbdb.fit IS 'Models: one over all samples of a data set in a context (and stratum)';
COMMENT ON COLUMN pbdb.fit.n_samples IS 'Samples in the fit, vehicle included';
COMMENT ON COLUMN pbdb.fit.n_effects IS 'Effects that could be estimated';
COMMENT ON COLUMN pbdb.fit.n_control IS 'old name of n_vehicle, to be removed';
