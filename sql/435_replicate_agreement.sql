CREATE VIEW pbdb.replicate_agreement WITH (security_invoker = true) AS
SELECT
    d.dataset, r.condition_id, s.compound_name, k.parent_inchikey, x.context, x.context_name, c.dose_um, c.time_h, c.stratum,
    r.metric, r.score, r.n, r.n_pairs, r.source_centroid, r.source_peer_mean,
    r.score - r.source_centroid AS delta_source_centroid, r.score - r.source_peer_mean AS delta_source_peer,
    r.source_peer_sd, r.source_peer_below, r.source_peer_percentile, r.source_peer_p, r.n_source_centroid,
    r.n_source_peers, r.is_capped, r.parameters_id
FROM core.replicate_agreement r
JOIN core.condition c ON c.condition_id = r.condition_id
JOIN core.dataset d ON d.dataset_id = r.dataset_id
JOIN core.context x ON x.context_id = c.context_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.replicate_agreement IS
    'How far single wells of one condition agree: what to hold agreement between data sets against, though effects of'
    ' several wells can agree better';
