CREATE VIEW pbdb.effect_sample WITH (security_invoker = true) AS
SELECT
    e.effect_id, d.dataset, e.condition_id, r.role, m.sample_id, m.source_sample, p.plate, m.well, m.time_h, m.n_counts
FROM core.effect e
JOIN core.dataset d ON d.dataset_id = e.dataset_id
JOIN core.sample m ON m.dataset_id = e.dataset_id AND m.condition_id = e.condition_id
JOIN core.plate p ON p.plate_id = m.plate_id
JOIN core.fit_sample r ON r.fit_id = e.fit_id AND r.sample_id = m.sample_id AND r.role = 'treated'
WHERE e.sample_id IS NULL OR e.sample_id = m.sample_id
UNION ALL
SELECT
    e.effect_id, d.dataset, e.condition_id, r.role, m.sample_id, m.source_sample, p.plate, m.well, m.time_h, m.n_counts
FROM core.effect e
JOIN core.dataset d ON d.dataset_id = e.dataset_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.fit_sample r ON r.fit_id = e.fit_id AND r.role = 'vehicle'
-- By index, always: the planner expects an effect in each partition, and then reads all samples of all data sets.
CROSS JOIN LATERAL (
    SELECT i.* FROM core.sample i WHERE i.dataset_id = e.dataset_id AND i.sample_id = r.sample_id OFFSET 0
) m
JOIN core.plate p ON p.plate_id = m.plate_id
WHERE m.time_h = c.time_h;
COMMENT ON VIEW pbdb.effect_sample IS 'The wells behind an effect: treated ones, and vehicle of the same time in the fit';
