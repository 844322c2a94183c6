-- What a row names is there (foreign keys): outer joins let a query that asks for none of a table's columns skip it.
CREATE VIEW pbdb.matched_condition WITH (security_invoker = true) AS
SELECT
    m.match_id, da.dataset AS dataset_a, db.dataset AS dataset_b, m.condition_id_a, m.condition_id_b, s.compound_name,
    k.parent_inchikey, m.inchikey_level, m.compound_key, x.context, x.context_name, a.time_h, b.time_h AS time_h_b,
    m.time_tolerance_h, a.dose_um AS dose_um_a, b.dose_um AS dose_um_b, a.stratum AS stratum_a, b.stratum AS stratum_b, m.dose_fold,
    m.from_window, coalesce(m.from_window <= 1, false) AS in_window_1,
    coalesce(m.from_window <= 2, false) AS in_window_2, coalesce(m.from_window <= 3, false) AS in_window_3,
    coalesce(m.from_window <= 10, false) AS in_window_10,
    m.n_shared_compounds, m.tie_block_size, m.effect_id_a, m.effect_id_b
FROM core.match m
LEFT JOIN core.condition a ON a.condition_id = m.condition_id_a
LEFT JOIN core.condition b ON b.condition_id = m.condition_id_b
LEFT JOIN core.dataset da ON da.dataset_id = m.dataset_id_a
LEFT JOIN core.dataset db ON db.dataset_id = m.dataset_id_b
LEFT JOIN core.context x ON x.context_id = a.context_id
LEFT JOIN core.source_compound s ON s.source_compound_id = a.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.matched_condition IS
    'Two conditions of different data sets, same compound, context and time, mutually nearest in dose, whatever the'
    ' fold: for a window of doses, filter from_window <= 3, say, which re-applies the rule of ten shared compounds';
COMMENT ON COLUMN pbdb.matched_condition.dataset_a IS 'Data set of the first condition; first in the alphabet';
COMMENT ON COLUMN pbdb.matched_condition.dataset_b IS 'Data set of the second condition';
COMMENT ON COLUMN pbdb.matched_condition.time_h_b IS 'Hours of exposure in the second condition';
COMMENT ON COLUMN pbdb.matched_condition.dose_um_a IS 'Dose of the first condition in micromolar';
COMMENT ON COLUMN pbdb.matched_condition.dose_um_b IS 'Dose of the second condition in micromolar';
COMMENT ON COLUMN pbdb.matched_condition.stratum_a IS 'Stratum of the first condition; null where none';
COMMENT ON COLUMN pbdb.matched_condition.stratum_b IS 'Stratum of the second condition; null where none';
COMMENT ON COLUMN pbdb.matched_condition.in_window_1 IS 'True where the match counts at equal doses';
COMMENT ON COLUMN pbdb.matched_condition.in_window_2 IS 'True where the match counts within two-fold dose';
COMMENT ON COLUMN pbdb.matched_condition.in_window_3 IS 'True where the match counts within three-fold dose';
COMMENT ON COLUMN pbdb.matched_condition.in_window_10 IS 'True where the match counts within ten-fold dose';
