-- A column of a view in schema core has the words of the table in schema part that the view shows.
DO $$
DECLARE
    bare record;
BEGIN
    FOR bare IN
        SELECT c.relname, a.attname, col_description(t.attrelid, t.attnum) AS words
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        JOIN pg_class p ON p.relname = c.relname AND p.relnamespace = 'part'::regnamespace
        JOIN pg_attribute t ON t.attrelid = p.oid AND t.attname = a.attname
        WHERE c.relnamespace = 'core'::regnamespace AND c.relkind = 'v'
          AND pg_get_userbyid(c.relowner) = current_user AND col_description(c.oid, a.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN core.%I.%I IS %L', bare.relname, bare.attname, bare.words);
    END LOOP;
END $$;
-- Another view column without words of its own takes those of the table columns of its name; where there are none, or
-- they differ, those of a view's.
DO $$
DECLARE
    bare record;
    words text;
BEGIN
    FOR bare IN
        SELECT c.oid, c.relname, a.attnum, a.attname
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'pbdb'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
          AND pg_get_userbyid(c.relowner) = current_user AND col_description(c.oid, a.attnum) IS NULL
        ORDER BY c.oid, a.attnum
    LOOP
        SELECT min(f.words) INTO STRICT words
        FROM (
            SELECT DISTINCT n.nspname, col_description(o.oid, t.attnum) AS words
            FROM pg_class o JOIN pg_attribute t ON t.attrelid = o.oid JOIN pg_namespace n ON n.oid = o.relnamespace
            WHERE n.nspname IN ('core', 'pbdb') AND o.relkind IN ('r', 'p', 'v') AND t.attname = bare.attname
              AND col_description(o.oid, t.attnum) IS NOT NULL
        ) f
        GROUP BY f.nspname HAVING count(*) = 1
        ORDER BY f.nspname LIMIT 1;
        EXECUTE format('COMMENT ON COLUMN pbdb.%I.%I IS %L', bare.relname, bare.attname, words);
    END LOOP;
EXCEPTION WHEN no_data_found THEN
    RAISE EXCEPTION 'column pbdb.%.% needs a comment: no column of that name has one, or several differ',
        bare.relname, bare.attname;
END $$;
