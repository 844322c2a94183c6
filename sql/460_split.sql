CREATE VIEW pbdb.split WITH (security_invoker = true) AS
SELECT s.split, s.kind, s.parameters, s.code_version, s.created_at
FROM core.split s;
COMMENT ON VIEW pbdb.split IS 'Divisions of the conditions into folds, for training and testing models: how each was made';
COMMENT ON COLUMN pbdb.split.kind IS
    'What is held out: compound, scaffold, context, dataset, published (pairs of compound and context), transfer '
    '(compounds of one data set that train in others); attribute: '
    'what the source says';
