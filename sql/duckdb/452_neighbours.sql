CREATE MACRO neighbours(effect, n := 20, opposite := false, of_others := false) AS TABLE
SELECT
    e.effect_id, e.dataset, e.compound_name, e.inchikey, e.parent_inchikey, e.context, e.context_name, e.dose_um,
    e.time_h, list_cosine_similarity(e.landmark_t, q.landmark_t) AS similarity, e.n_landmarks
FROM (SELECT i.landmark_t, coalesce(i.parent_inchikey, i.compound_name) AS compound FROM core.effect i
    WHERE i.effect_id = effect AND i.landmark_t IS NOT NULL) q
JOIN core.default_effect e ON e.landmark_t IS NOT NULL AND e.effect_id <> effect
    AND NOT (of_others AND coalesce(e.parent_inchikey, e.compound_name) = q.compound)
ORDER BY CASE WHEN opposite THEN similarity ELSE -similarity END, e.effect_id
LIMIT n;
