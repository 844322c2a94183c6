CREATE MACRO similar_signatures(
    like_signature, n := 20, of_datasets := NULL, of_contexts := NULL, opposite := false, except_effects := NULL
) AS TABLE
SELECT
    e.effect_id, e.dataset, e.compound_name, e.inchikey, e.parent_inchikey, e.context, e.context_name, e.dose_um,
    e.time_h, list_cosine_similarity(e.landmark_t, like_signature::FLOAT[]) AS similarity, e.n_landmarks
FROM core.default_effect e
WHERE e.landmark_t IS NOT NULL AND NOT coalesce(list_contains(except_effects, e.effect_id), false)
  AND (of_datasets IS NULL OR list_contains(of_datasets, e.dataset))
  AND (of_contexts IS NULL OR list_contains(of_contexts, e.context) OR list_contains(of_contexts, e.context_name))
ORDER BY CASE WHEN opposite THEN similarity ELSE -similarity END, e.effect_id
LIMIT n;
