-- Keys are hashes of content: the smallest are a random sample.
CREATE FUNCTION pbdb.similarity_floor(share double precision DEFAULT 0.95, n integer DEFAULT 100)
RETURNS double precision
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    WITH drawn AS MATERIALIZED (
        SELECT e.effect_id, e.landmark_t, c.source_compound_id
        FROM core.effect e
        JOIN core.fit f ON f.fit_id = e.fit_id AND f.is_default
        JOIN core.condition c ON c.condition_id = e.condition_id
        WHERE e.landmark_t IS NOT NULL
        ORDER BY e.effect_id
        LIMIT n
    )
    SELECT percentile_cont(share) WITHIN GROUP (ORDER BY 1 - (a.landmark_t OPERATOR(public.<=>) b.landmark_t))
    FROM drawn a
    JOIN drawn b ON b.effect_id > a.effect_id AND b.source_compound_id <> a.source_compound_id
    WHERE a.landmark_t OPERATOR(public.<=>) b.landmark_t <> 'NaN';
END;
COMMENT ON FUNCTION pbdb.similarity_floor(double precision, integer) IS
    'Similarity that this share of pairs of effects of different compounds does not reach, over n effects drawn at'
    ' random: what lies below is no finding';
