CREATE FUNCTION pbdb.neighbours(
    effect bigint, n integer DEFAULT 20, opposite boolean DEFAULT false, of_others boolean DEFAULT false
) RETURNS TABLE (
    effect_id bigint, dataset text, compound_name text, inchikey text, parent_inchikey text, context text,
    context_name text, dose_um double precision, time_h double precision, similarity double precision,
    n_landmarks integer
)
LANGUAGE sql STABLE SECURITY INVOKER ROWS 20
BEGIN ATOMIC
    SELECT s.*
    FROM core.effect e
    JOIN core.condition c ON c.condition_id = e.condition_id
    JOIN core.source_compound u ON u.source_compound_id = c.source_compound_id
    LEFT JOIN core.compound k ON k.compound_id = u.compound_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN of_others THEN ARRAY(
            SELECT o.effect_id
            FROM (
                SELECT w.source_compound_id
                FROM core.compound p
                JOIN core.source_compound w ON w.compound_id = p.compound_id
                WHERE p.compound_id = u.compound_id OR p.parent_inchikey = k.parent_inchikey
                UNION ALL
                SELECT w.source_compound_id
                FROM core.source_compound w
                WHERE u.compound_id IS NULL AND w.compound_id IS NULL AND w.compound_name = u.compound_name
            ) i
            JOIN core.condition t ON t.source_compound_id = i.source_compound_id
            JOIN core.effect o ON o.condition_id = t.condition_id
        ) ELSE ARRAY[e.effect_id] END AS effects
        OFFSET 0
    ) own
    CROSS JOIN LATERAL pbdb.similar_signatures(e.landmark_t, n, NULL, NULL, opposite, false, own.effects) s
    WHERE e.effect_id = effect AND e.landmark_t IS NOT NULL
    ORDER BY CASE WHEN opposite THEN s.similarity ELSE -s.similarity END, s.effect_id;
END;
COMMENT ON FUNCTION pbdb.neighbours(bigint, integer, boolean, boolean) IS
    'Pooled effects most similar (opposite: most opposite) to an effect over the 978 landmarks, by cosine of moderated t,'
    ' itself left out, or (of_others) all effects of its compound, salts included; approximate where indexed';
