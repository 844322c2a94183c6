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
      AND (
          lower(r.compound_name) = lower(compound) OR lower(r.source_compound_name) = lower(compound)
          OR r.inchikey = compound
      )
    ORDER BY r.dataset, r.context, r.time_h, r.dose_um;
END;
COMMENT ON FUNCTION pbdb.dose_response(text, text) IS
    'A gene (symbol or Ensembl id) over the doses of a compound (name or InChIKey), in every data set and context';
