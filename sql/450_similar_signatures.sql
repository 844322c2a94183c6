-- Its settings are known only once the library of the extension is loaded, which a first value does.
DO $$ BEGIN PERFORM '[1]'::public.halfvec; END $$;
-- Few signatures are compared one by one: so few that the index would read more of others on its way to them. Of more,
-- the index of `pbdb signature index` finds candidates by their coordinates on a projection's axes, meeting filters by
-- scanning on (hnsw.iterative_scan); these are compared exactly, and so are all that the index does not hold yet.
CREATE FUNCTION pbdb.similar_signatures(
    like_signature halfvec, n integer DEFAULT 20, of_datasets text[] DEFAULT NULL, of_contexts text[] DEFAULT NULL,
    opposite boolean DEFAULT false, is_exact boolean DEFAULT false, except_effects bigint[] DEFAULT NULL
) RETURNS TABLE (
    effect_id bigint, dataset text, compound_name text, inchikey text, parent_inchikey text, context text,
    context_name text, dose_um double precision, time_h double precision, similarity double precision,
    n_landmarks integer
)
LANGUAGE plpgsql STABLE SECURITY INVOKER ROWS 20
SET hnsw.iterative_scan = 'relaxed_order'
SET hnsw.ef_search = 180
SET hnsw.max_scan_tuples = 200000
SET hnsw.scan_mem_multiplier = 8
AS $$
DECLARE
    projection bigint := (SELECT max(p.projection_id) FROM core.signature_projection p);
    indexed bigint[];
    others bigint[];
    n_indexed bigint;
    few bigint;
    nearby text := '';
    place public.halfvec;
    found record;
    wanted public.halfvec := CASE WHEN opposite
        THEN like_signature * array_fill(-1::real, ARRAY[vector_dims(like_signature)])::halfvec ELSE like_signature END;
BEGIN
    SELECT
        coalesce(array_agg(f.fit_id) FILTER (WHERE t.projection_id = projection), '{}'),
        coalesce(array_agg(f.fit_id) FILTER (WHERE (t.projection_id = projection) IS NOT TRUE), '{}'),
        coalesce(sum(t.n_signatures) FILTER (WHERE t.projection_id = projection), 0)
    INTO indexed, others, n_indexed
    FROM core.signature_fit t
    JOIN core.fit f ON f.fit_id = t.fit_id
    JOIN core.dataset d ON d.dataset_id = f.dataset_id
    JOIN core.context x ON x.context_id = f.context_id
    WHERE f.is_default AND (of_datasets IS NULL OR d.dataset = ANY (of_datasets))
      AND (of_contexts IS NULL OR x.context = ANY (of_contexts) OR x.context_name = ANY (of_contexts));
    few := coalesce(
        nullif(current_setting('pbdb.few_signatures', true), '')::bigint,
        (SELECT sqrt(2500 * sum(t.n_signatures)) FROM core.signature_fit t WHERE t.projection_id = projection),
        0
    );
    IF is_exact OR n_indexed <= few OR n > 1000 THEN
        others := others || indexed;
    ELSE
        SELECT array_agg(-(a.axis OPERATOR(public.<#>) wanted) ORDER BY a.place)::public.halfvec INTO place
        FROM core.signature_projection p, unnest(p.axes) WITH ORDINALITY a (axis, place)
        WHERE p.projection_id = projection;
        nearby := format($query$
            SELECT s.effect_id, s.dataset_id, s.condition_id, s.n_landmarks, s.landmark_t <=> $1 AS distance
            FROM (
                SELECT c.effect_id FROM core.projected_signature c
                WHERE c.projection_id = %s AND c.fit_id = ANY ($5) AND c.effect_id <> ALL ($3)
                ORDER BY c.coordinates <=> $6
                LIMIT greatest(180, 9 * $4)
            ) c
            JOIN core.signature s ON s.effect_id = c.effect_id
            UNION ALL $query$, projection);
    END IF;
    EXECUTE format($query$
        SELECT array_agg(s.effect_id) AS effects, array_agg(s.dataset_id) AS datasets,
            array_agg(s.condition_id) AS conditions, array_agg(s.n_landmarks) AS landmarks,
            array_agg(s.distance) AS distances
        FROM (
            SELECT f.*
            FROM (
                %s
                SELECT s.effect_id, s.dataset_id, s.condition_id, s.n_landmarks, s.landmark_t <=> $1 AS distance
                FROM core.signature s
                WHERE s.fit_id = ANY ($2)
            ) f
            WHERE f.effect_id <> ALL ($3)
            ORDER BY f.distance, f.effect_id
            LIMIT $4
        ) s
        WHERE s.distance <> 'NaN'
    $query$, nearby) INTO found
    USING wanted, others, coalesce(except_effects, '{}'), n, indexed, place;
    -- Apart, so that it is planned once: the other is planned for each question.
    RETURN QUERY
    SELECT
        s.effect_id, d.dataset, u.compound_name, k.inchikey, k.parent_inchikey, x.context, x.context_name, c.dose_um,
        c.time_h, CASE WHEN opposite THEN -1 ELSE 1 END * (1 - s.distance), s.n_landmarks
    FROM unnest(found.effects, found.datasets, found.conditions, found.landmarks, found.distances)
        s (effect_id, dataset_id, condition_id, n_landmarks, distance)
    JOIN core.condition c ON c.condition_id = s.condition_id
    JOIN core.dataset d ON d.dataset_id = s.dataset_id
    JOIN core.context x ON x.context_id = c.context_id
    JOIN core.source_compound u ON u.source_compound_id = c.source_compound_id
    LEFT JOIN core.compound k ON k.compound_id = u.compound_id
    ORDER BY s.distance, s.effect_id;
END $$;
COMMENT ON FUNCTION pbdb.similar_signatures(halfvec, integer, text[], text[], boolean, boolean, bigint[]) IS
    'Pooled effects most similar (opposite: most opposite) to a signature over the 978 landmarks, by cosine of'
    ' moderated t; of some data sets or contexts (id or name); approximate where indexed, unless is_exact';
