CREATE MACRO p_value(neg_log10_p) AS CASE
    WHEN isnan(neg_log10_p) THEN NULL
    WHEN neg_log10_p > 307 THEN 0
    ELSE power(10::DOUBLE, -neg_log10_p::DOUBLE)
END;
