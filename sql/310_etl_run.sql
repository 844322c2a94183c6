CREATE VIEW pbdb.etl_run WITH (security_invoker = true) AS
SELECT
    r.etl_run_id, r.source, r.dataset, r.release, r.stage, r.status, r.fingerprint, r.inputs, r.rows_in, r.rows_out,
    r.dropped, r.report, r.message, r.seconds, r.peak_mb, r.code_version, r.finished_at
FROM core.etl_run r;
COMMENT ON VIEW pbdb.etl_run IS 'The ledger: one row for each stage of a load that did work';
COMMENT ON COLUMN pbdb.etl_run.status IS 'done or failed';
COMMENT ON COLUMN pbdb.etl_run.fingerprint IS 'Fingerprint of inputs, declaration and code of the load';
