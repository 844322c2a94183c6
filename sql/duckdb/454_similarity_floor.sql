CREATE MACRO similarity_floor(share := 0.95, n := 100) AS (
    WITH drawn AS (
        SELECT e.effect_id, e.landmark_t, c.source_compound_id
        FROM core.default_effect e
        JOIN core.condition c ON c.condition_id = e.condition_id
        WHERE e.landmark_t IS NOT NULL
        ORDER BY e.effect_id
        LIMIT n
    )
    SELECT quantile_cont(list_cosine_similarity(a.landmark_t, b.landmark_t), share)
    FROM drawn a
    JOIN drawn b ON b.effect_id > a.effect_id AND b.source_compound_id <> a.source_compound_id
);
