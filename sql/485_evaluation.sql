CREATE VIEW pbdb.evaluation WITH (security_invoker = true) AS
SELECT
    e.evaluation, e.task, e.evaluated_on, e.learner, e.statistic, e.quantity, e.n_test_conditions, e.n_test_compounds,
    e.n_repeats, e.estimate, e.interval_low, e.interval_high, e.interval_status, e.datasets, e.parameters,
    e.code_version, e.created_at
FROM core.evaluation e;
COMMENT ON VIEW pbdb.evaluation IS
    'What evaluations on held-out compounds found: methods and baselines, with intervals over compounds';
