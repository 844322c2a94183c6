CREATE VIEW pbdb.further_effect WITH (security_invoker = true) AS
SELECT * FROM pbdb.any_effect e WHERE NOT e.is_default;
COMMENT ON VIEW pbdb.further_effect IS
    'Effects of fits stored beside the default ones (single wells, other methods), with the columns of effect';
COMMENT ON COLUMN pbdb.further_effect.status IS 'ok, or the reason why the effect could not be estimated';
