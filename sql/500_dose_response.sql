CREATE FUNCTION pbdb.dose_response(compound text, gene text)
RETURNS TABLE (
    dataset text, compound_name text, context text, context_name text, time_h double precision,
    dose_um double precision, gene_symbol text, log2_fc real, se real, p_adj double precision, effect_id bigint
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 50
BEGIN ATOMIC
    SELECT
        r.dataset, r.compound_name, r.context, r.context_name, r.time_h, r.dose_um, r.gene_symbol, r.log2_fc, r.se,
        r.p_adj, r.effect_id
    FROM pbdb.gene_response r
    WHERE r.gene_id = ANY (ARRAY(SELECT g.gene_id FROM core.gene g WHERE g.symbol = gene OR g.gene_id = gene))
      -- Conditions first: they are few, and what all others are called need not be looked up.
      AND r.condition_id IN (
          SELECT c.condition_id
          FROM core.source_compound s
          JOIN core.condition c ON c.source_compound_id = s.source_compound_id
          LEFT JOIN core.compound k ON k.compound_id = s.compound_id
          WHERE lower(s.compound_name) = lower(compound) OR lower(s.name) = lower(compound) OR k.inchikey = compound
      )
    ORDER BY r.dataset, r.context, r.time_h, r.dose_um;
END;
COMMENT ON FUNCTION pbdb.dose_response(text, text) IS
    'A gene (symbol or Ensembl id) over the doses of a compound (name or InChIKey), in every data set and context';
