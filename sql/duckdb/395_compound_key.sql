CREATE MACRO compound_key(level, inchikey, parent_inchikey, skeleton, pubchem_cid) AS CASE level
    WHEN 'inchikey' THEN inchikey
    WHEN 'parent_inchikey' THEN coalesce(parent_inchikey, inchikey)
    WHEN 'skeleton' THEN coalesce(skeleton, left(inchikey, 14))
    WHEN 'pubchem_cid' THEN pubchem_cid::VARCHAR
END;
