CREATE VIEW core.sample WITH (security_invoker = true) AS
SELECT
    s.sample_id, s.dataset_id, s.source_sample, s.plate_id, s.well, s.condition_id, s.source_compound_id,
    s.context_id, s.dose_fm, s.dose_um, s.time_h, s.stratum, s.is_vehicle, s.n_cells, s.n_counts, s.in_fit, s.flags,
    s.attributes
FROM part.sample s
WHERE s.generation = ANY ((SELECT part.current_generations(part.planned_generation()))::bigint[]);
COMMENT ON VIEW core.sample IS 'One measured (or pseudobulk) profile: one well';
