CREATE MACRO dose_response(compound, gene) AS TABLE
SELECT
    r.dataset, r.compound_name, r.context, r.context_name, r.time_h, r.dose_um, r.gene_symbol, r.log2_fc, r.se,
    r.p_adj, r.effect_id
FROM gene_response r
WHERE (r.gene_symbol = gene OR r.gene_id = gene)
  AND (
      lower(r.compound_name) = lower(compound) OR lower(r.source_compound_name) = lower(compound)
      OR r.inchikey = compound
  )
ORDER BY r.dataset, r.context, r.time_h, r.dose_um;
