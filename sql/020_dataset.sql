CREATE VIEW pbdb.dataset WITH (security_invoker = true) AS
SELECT
    d.dataset, d.source, d.title, d.release, a.technology, a.readout, d.license, d.citation, d.doi, d.homepage,
    d.access, d.is_redistributable, d.is_non_commercial, d.is_simulated, d.overlap_group, d.is_primary,
    d.license AS licence
FROM core.dataset d
JOIN core.assay a ON a.assay_id = d.assay_id;
COMMENT ON VIEW pbdb.dataset IS 'Data sets: where they come from, how they were measured, what their terms allow';
COMMENT ON COLUMN pbdb.dataset.licence IS 'old name of license, to be removed';
