CREATE FUNCTION part.current_generations(planned bigint) RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER AS $$
DECLARE
    shown bigint[];
BEGIN
    shown := ARRAY(SELECT g.generation FROM core.generation g WHERE g.is_current);
    IF planned < ANY (shown) THEN
        RAISE EXCEPTION 'A data set was replaced between the planning of this statement and its run.'
            USING ERRCODE = 'serialization_failure', HINT = 'Run it again, in a new transaction.';
    END IF;
    RETURN shown;
END $$;
COMMENT ON FUNCTION part.current_generations(bigint) IS
    'The generations readers see; an error where a plan of this age does not read all of them';
