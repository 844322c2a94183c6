CREATE FUNCTION pbdb.compound_key(
    level text, inchikey text, parent_inchikey text, skeleton text, pubchem_cid bigint
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE level
    WHEN 'inchikey' THEN inchikey
    WHEN 'parent_inchikey' THEN coalesce(parent_inchikey, inchikey)
    WHEN 'skeleton' THEN coalesce(skeleton, left(inchikey, 14))
    WHEN 'pubchem_cid' THEN pubchem_cid::text
END;
COMMENT ON FUNCTION pbdb.compound_key(text, text, text, text, bigint) IS
    'What two compounds have in common at a level of identity; a compound without structure stands for itself';
