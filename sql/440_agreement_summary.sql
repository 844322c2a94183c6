CREATE VIEW pbdb.agreement_summary WITH (security_invoker = true) AS
SELECT
    a.dataset AS dataset_a, b.dataset AS dataset_b, u.metric, u.quantity, u.mean, u.interval_low, u.interval_high,
    u.interval_status, u.n_matches, u.n_defined, u.n_units, u.n_compounds, u.inchikey_level, u.time_tolerance_h,
    u.dose_window, u.parameters_id, u.parameters, u.code_version, u.created_at
FROM core.agreement_summary u
JOIN core.dataset a ON a.dataset_id = u.dataset_id_a
JOIN core.dataset b ON b.dataset_id = u.dataset_id_b;
COMMENT ON VIEW pbdb.agreement_summary IS
    'Agreement of two data sets, and of each of its baselines, with 95 % intervals clustered by compound; of a data set'
    ' with itself: between its replicates';
