CREATE FUNCTION pbdb.neighbours(effect bigint, n integer DEFAULT 20, opposite boolean DEFAULT false)
RETURNS TABLE (
    effect_id bigint, dataset text, compound_name text, context text, context_name text, dose_um double precision,
    time_h double precision, similarity double precision, n_landmarks integer
)
LANGUAGE sql STABLE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    SELECT s.*
    FROM core.effect e
    CROSS JOIN LATERAL pbdb.similar_signatures(
        e.landmark_t, n, NULL, NULL, opposite, false, e.effect_id
    ) s
    WHERE e.effect_id = effect AND e.landmark_t IS NOT NULL
    ORDER BY CASE WHEN opposite THEN s.similarity ELSE -s.similarity END, s.effect_id;
END;
COMMENT ON FUNCTION pbdb.neighbours(bigint, integer, boolean) IS
    'Pooled effects most similar (opposite: most opposite) to an effect over the 978 landmarks, by cosine of moderated t,'
    ' itself left out; approximate where indexed';
