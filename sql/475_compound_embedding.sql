CREATE VIEW pbdb.compound_embedding WITH (security_invoker = true) AS
SELECT
    m.model, c.name AS compound_name, v.parent_inchikey, v.vec::real[] AS vec, v.reliability, v.n_training_effects,
    v.n_training_datasets, v.n_training_contexts, v.from_structure
FROM core.compound_embedding v
JOIN core.embedding_model m ON m.model_id = v.model_id
LEFT JOIN (
    SELECT n.parent_inchikey, min(n.name) AS name
    FROM core.compound n
    WHERE n.replaced_by IS NULL
    GROUP BY n.parent_inchikey
) c ON c.parent_inchikey = v.parent_inchikey;
COMMENT ON VIEW pbdb.compound_embedding IS
    'Vectors of compounds by model; what acts alike points the same way: pbdb.acts_like ranks by it';
