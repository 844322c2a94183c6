-- The planner expects ten rows of an array it does not know, and then joins thousands of genes in nested loops. Beside
-- unnest, in one list, this function lets it expect as many as effects have genes, and adds none.
CREATE FUNCTION part.thousands() RETURNS SETOF integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER ROWS 3000
BEGIN ATOMIC
    SELECT 1 WHERE false;
END;
COMMENT ON FUNCTION part.thousands() IS 'No row, where the planner expects thousands: beside unnest of long arrays';
