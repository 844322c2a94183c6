CREATE VIEW pbdb.effect WITH (security_invoker = true) AS
SELECT * FROM pbdb.any_effect e WHERE e.is_default;
COMMENT ON VIEW pbdb.effect IS
    'Effects of the default fits, whatever their status: one row per condition; one that could not be estimated says why';
COMMENT ON COLUMN pbdb.effect.status IS 'ok, or the reason why the effect could not be estimated';
