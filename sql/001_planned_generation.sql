-- Partitions are no matter of snapshots: a statement planned before a generation got its partitions does not read them,
-- though the statement's snapshot, which is taken after planning, may call that generation current. So each plan keeps
-- the newest generation it knows. To that end the function is called "immutable": the planner calls it, once a plan.
CREATE FUNCTION part.planned_generation() RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER AS $$
BEGIN
    -- Locking a table nobody locks makes the session read what changed in the catalogs since its transaction began.
    PERFORM pg_relation_size('pg_catalog.pg_ts_template'::regclass);
    RETURN (SELECT coalesce(max(g.generation), 0) FROM core.generation g);
END $$;
COMMENT ON FUNCTION part.planned_generation() IS 'The newest generation whose partitions a plan made now would read';
