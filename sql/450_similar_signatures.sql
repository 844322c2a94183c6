-- Its settings are known only once the library of the extension is loaded, which a first value does.
DO $$ BEGIN PERFORM '[1]'::public.halfvec; END $$;
-- The order by distance uses the HNSW indexes of the partitions where `pbdb signature index` made them; filters are met
-- by scanning on (hnsw.iterative_scan). With is_exact the order is by an expression that no index can give.
CREATE FUNCTION pbdb.similar_signatures(
    like_signature halfvec, n integer DEFAULT 20, of_datasets text[] DEFAULT NULL, of_contexts text[] DEFAULT NULL,
    opposite boolean DEFAULT false, is_exact boolean DEFAULT false, except_effect bigint DEFAULT NULL
) RETURNS TABLE (
    effect_id bigint, dataset text, compound_name text, context text, context_name text, dose_um double precision,
    time_h double precision, similarity double precision, n_landmarks integer
)
LANGUAGE plpgsql STABLE SECURITY INVOKER ROWS 20
SET hnsw.iterative_scan = 'strict_order'
SET hnsw.ef_search = 100
AS $$
DECLARE
    fits bigint[];
    datasets bigint[];
    wanted halfvec := CASE WHEN opposite
        THEN like_signature * array_fill(-1::real, ARRAY[vector_dims(like_signature)])::halfvec ELSE like_signature END;
BEGIN
    SELECT array_agg(f.fit_id), array_agg(DISTINCT f.dataset_id) INTO fits, datasets
    FROM core.fit f
    JOIN core.dataset d ON d.dataset_id = f.dataset_id
    JOIN core.context x ON x.context_id = f.context_id
    WHERE f.is_default AND (of_datasets IS NULL OR d.dataset = ANY (of_datasets))
      AND (of_contexts IS NULL OR x.context = ANY (of_contexts) OR x.context_name = ANY (of_contexts));
    RETURN QUERY EXECUTE format($query$
        SELECT
            s.effect_id, d.dataset, u.compound_name, x.context, x.context_name, c.dose_um, c.time_h,
            %s * (1 - s.distance), s.n_landmarks
        FROM (
            SELECT e.effect_id, e.dataset_id, e.condition_id, e.n_landmarks, e.landmark_t <=> $1 AS distance
            FROM core.effect e
            WHERE e.dataset_id = ANY ($2) AND e.fit_id = ANY ($3) AND e.landmark_t IS NOT NULL
              AND e.effect_id IS DISTINCT FROM $4
            ORDER BY (e.landmark_t <=> $1) %s
            LIMIT $5
        ) s
        JOIN core.condition c ON c.condition_id = s.condition_id
        JOIN core.dataset d ON d.dataset_id = s.dataset_id
        JOIN core.context x ON x.context_id = c.context_id
        JOIN core.source_compound u ON u.source_compound_id = c.source_compound_id
        WHERE s.distance <> 'NaN'
        ORDER BY s.distance, s.effect_id
    $query$, CASE WHEN opposite THEN '-1' ELSE '1' END, CASE WHEN is_exact THEN '+ 0' ELSE '' END)
    USING wanted, datasets, fits, except_effect, n;
END $$;
COMMENT ON FUNCTION pbdb.similar_signatures(halfvec, integer, text[], text[], boolean, boolean, bigint) IS
    'Pooled effects most similar (opposite: most opposite) to a signature over the 978 landmarks, by cosine of'
    ' moderated t; of some data sets or contexts (id or name); approximate where indexed, unless is_exact';
