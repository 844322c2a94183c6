CREATE VIEW pbdb.compound WITH (security_invoker = true) AS
SELECT
    k.name AS compound_name, k.inchikey, k.parent_inchikey, k.skeleton, k.pubchem_cid, k.pubchem_title, k.smiles,
    k.parent_smiles, k.formula, k.molecular_weight, k.compound_id
FROM core.compound k
WHERE k.replaced_by IS NULL;
COMMENT ON VIEW pbdb.compound IS 'Standardised structures, one row per InChIKey; compound_alias has all names';
COMMENT ON COLUMN pbdb.compound.compound_id IS
    'Key of a compound: first 52 bits of SHA-256 over table name and natural key: the same on every machine';
