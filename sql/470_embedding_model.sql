CREATE VIEW pbdb.embedding_model WITH (security_invoker = true) AS
SELECT
    m.model, m.kind, m.is_default_model, m.n_dimensions, m.datasets, m.training_split, m.learnt_from, m.parameters,
    m.code_version, m.created_at
FROM core.embedding_model m;
COMMENT ON VIEW pbdb.embedding_model IS 'Models that give compounds vectors by how they act: what each learned from, and how';
COMMENT ON COLUMN pbdb.embedding_model.kind IS 'lowrank, lpm, or foreign: made by other software';
