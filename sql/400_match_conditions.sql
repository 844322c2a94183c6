CREATE FUNCTION pbdb.match_conditions(
    dose_window double precision DEFAULT 10, level text DEFAULT 'parent_inchikey',
    time_tolerance_h double precision DEFAULT 0, of_datasets text[] DEFAULT NULL, min_compounds integer DEFAULT 10,
    with_others boolean DEFAULT false
) RETURNS TABLE (
    dataset_id_a bigint, dataset_id_b bigint, condition_id_a bigint, condition_id_b bigint, compound_key text,
    dose_fold double precision, tie_block_size integer, n_shared_compounds integer, from_window double precision
)
LANGUAGE sql STABLE SECURITY INVOKER ROWS 100000
SET enable_nestloop = off
SET work_mem = '128MB'
BEGIN ATOMIC
    WITH level_key AS MATERIALIZED (
        SELECT k.compound_id, k.key, dense_rank() OVER (ORDER BY k.key) AS key_no
        FROM (
            SELECT o.compound_id, pbdb.compound_key(
                level, o.inchikey, o.parent_inchikey, o.skeleton, o.pubchem_cid
            ) COLLATE "C" AS key
            FROM core.compound o
        ) k
        WHERE k.key IS NOT NULL
    ), dose AS MATERIALIZED (
        -- What ties by rule: conditions of a data set at one compound, context, time and dose; the first is the id.
        SELECT
            min(c.condition_id) AS dose_id, array_agg(c.condition_id) AS conditions, c.dataset_id, k.key_no, k.key,
            c.context_id, c.time_h, c.dose_fm
        FROM core.condition c
        JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
        JOIN level_key k ON k.compound_id = s.compound_id
        WHERE NOT c.is_vehicle AND c.dose_fm > 0
        GROUP BY c.dataset_id, k.key_no, k.key, c.context_id, c.time_h, c.dose_fm
    ), candidate AS MATERIALIZED (
        SELECT o.*
        FROM dose o
        JOIN (
            SELECT m.key_no, m.context_id FROM dose m
            GROUP BY m.key_no, m.context_id HAVING min(m.dataset_id) < max(m.dataset_id)
        ) p ON p.key_no = o.key_no AND p.context_id = o.context_id
    ), dataset_pair AS MATERIALIZED (
        SELECT a.dataset_id AS dataset_id_a, b.dataset_id AS dataset_id_b
        FROM core.dataset a
        JOIN core.dataset b ON a.dataset COLLATE "C" < b.dataset COLLATE "C"
        WHERE (a.overlap_group = b.overlap_group) IS NOT TRUE
          AND (of_datasets IS NULL OR a.dataset = ANY (of_datasets) OR b.dataset = ANY (of_datasets))
    ), pair AS (
        -- fold_key orders folds and finds ties exactly: two different fractions of doses below 1 M differ by more.
        SELECT
            a.dose_id AS a, b.dose_id AS b, a.conditions AS conditions_a, b.conditions AS conditions_b,
            a.dataset_id AS dataset_id_a, b.dataset_id AS dataset_id_b, a.key_no, a.key, a.context_id,
            a.time_h AS time_h_a, b.time_h AS time_h_b, abs(a.time_h - b.time_h) AS time_gap,
            least(a.dose_fm, b.dose_fm) AS low, greatest(a.dose_fm, b.dose_fm) AS high,
            div(greatest(a.dose_fm, b.dose_fm) * 1e30, least(a.dose_fm, b.dose_fm)) AS fold_key
        FROM candidate a
        JOIN candidate b ON b.key_no = a.key_no AND b.context_id = a.context_id
        JOIN dataset_pair d ON d.dataset_id_a = a.dataset_id AND d.dataset_id_b = b.dataset_id
        WHERE abs(a.time_h - b.time_h) <= time_tolerance_h
    ), nearest AS (
        SELECT r.*, r.high::double precision / r.low AS fold
        FROM (
            SELECT
                p.*, rank() OVER (PARTITION BY p.a, p.dataset_id_b ORDER BY p.time_gap, p.fold_key) AS rank_a,
                rank() OVER (PARTITION BY p.b, p.dataset_id_a ORDER BY p.time_gap, p.fold_key) AS rank_b
            FROM pair p
        ) r
        WHERE r.rank_a = 1 AND r.rank_b = 1
    ), tied AS (
        -- Equally near doses form a chain: each pair begins at the dose where the one before ended.
        SELECT
            t.*, sum(CASE WHEN t.continues THEN 0 ELSE 1 END) OVER (
                PARTITION BY t.dataset_id_a, t.dataset_id_b, t.key_no, t.context_id, t.time_h_a, t.time_h_b, t.fold_key
                ORDER BY t.low
            ) AS block
        FROM (
            SELECT n.*, coalesce(n.high > n.low AND n.low = lag(n.high) OVER (
                PARTITION BY n.dataset_id_a, n.dataset_id_b, n.key_no, n.context_id, n.time_h_a, n.time_h_b, n.fold_key
                ORDER BY n.low
            ), false) AS continues
            FROM nearest n
        ) t
    ), shared AS (
        -- Of each compound the narrowest window at which it matches in a stratum, ranked.
        SELECT
            f.*, rank() OVER (
                PARTITION BY f.dataset_id_a, f.dataset_id_b, f.context_id, f.time_h_a, f.time_h_b
                ORDER BY f.first_fold, f.key_no
            ) AS place_in_stratum
        FROM (
            SELECT
                n.dataset_id_a, n.dataset_id_b, n.context_id, n.time_h_a, n.time_h_b, n.key_no,
                min(n.fold) AS first_fold
            FROM nearest n
            GROUP BY 1, 2, 3, 4, 5, 6
        ) f
    ), stratum AS (
        SELECT
            s.dataset_id_a, s.dataset_id_b, s.context_id, s.time_h_a, s.time_h_b,
            count(*) FILTER (WHERE s.first_fold <= dose_window)::integer AS n_shared_compounds,
            min(s.first_fold) FILTER (WHERE s.place_in_stratum = greatest(min_compounds, 1)) AS opens_at
        FROM shared s
        GROUP BY 1, 2, 3, 4, 5
    ), found AS (
        SELECT
            t.dataset_id_a, t.dataset_id_b, a.condition_id AS condition_id_a, b.condition_id AS condition_id_b, t.key,
            t.fold, count(*) OVER (
                PARTITION BY t.dataset_id_a, t.dataset_id_b, t.key_no, t.context_id, t.time_h_a, t.time_h_b, t.fold_key,
                    t.block
            )::integer AS tie_block_size,
            s.n_shared_compounds,
            CASE WHEN s.opens_at IS NOT NULL THEN greatest(t.fold, s.opens_at) END AS from_window
        FROM tied t
        JOIN stratum s ON s.dataset_id_a = t.dataset_id_a AND s.dataset_id_b = t.dataset_id_b
            AND s.context_id = t.context_id AND s.time_h_a = t.time_h_a AND s.time_h_b = t.time_h_b
        CROSS JOIN LATERAL unnest(t.conditions_a) a (condition_id)
        CROSS JOIN LATERAL unnest(t.conditions_b) b (condition_id)
    )
    SELECT * FROM found f WHERE with_others OR f.from_window <= dose_window;
END;
COMMENT ON FUNCTION pbdb.match_conditions(double precision, text, double precision, text[], integer, boolean) IS
    'Conditions of different data sets with the same compound (at a level of identity), context and time (within a'
    ' tolerance), mutually nearest in time and dose, all ties kept, that count in a window (fold of dose) with at least'
    ' min_compounds shared compounds; with_others: those outside the window too. Computed anew at each call';
