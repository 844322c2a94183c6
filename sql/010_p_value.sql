CREATE FUNCTION pbdb.p_value(neg_log10_p real) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
    WHEN neg_log10_p = 'NaN' THEN NULL
    WHEN neg_log10_p > 307 THEN 0  -- power() raises an error on underflow
    ELSE power(10::double precision, -neg_log10_p::double precision)
END;
COMMENT ON FUNCTION pbdb.p_value(real) IS 'p value from its -log10; 0 below 1e-307, null where it was not estimated';
