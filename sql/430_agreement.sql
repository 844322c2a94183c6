CREATE VIEW pbdb.agreement WITH (security_invoker = true) AS
SELECT
    m.match_id, da.dataset AS dataset_a, db.dataset AS dataset_b, s.compound_name, k.parent_inchikey, m.inchikey_level,
    x.context, x.context_name, a.time_h, a.dose_um AS dose_um_a, b.dose_um AS dose_um_b, m.dose_fold, m.from_window, g.metric,
    g.score, g.n, g.source_centroid, g.target_centroid, g.source_peer_mean, g.target_peer_mean,
    g.score - g.source_centroid AS delta_source_centroid, g.score - g.target_centroid AS delta_target_centroid,
    g.score - g.source_peer_mean AS delta_source_peer, g.score - g.target_peer_mean AS delta_target_peer,
    g.source_peer_sd, g.target_peer_sd, g.source_peer_below, g.target_peer_below, g.source_peer_percentile,
    g.target_peer_percentile, g.source_peer_p, g.target_peer_p, g.n_source_centroid, g.n_target_centroid,
    g.n_source_peers, g.n_target_peers, g.is_capped, g.parameters_id
FROM core.agreement g
JOIN core.match m ON m.match_id = g.match_id
LEFT JOIN core.condition a ON a.condition_id = m.condition_id_a
LEFT JOIN core.condition b ON b.condition_id = m.condition_id_b
LEFT JOIN core.dataset da ON da.dataset_id = m.dataset_id_a
LEFT JOIN core.dataset db ON db.dataset_id = m.dataset_id_b
LEFT JOIN core.context x ON x.context_id = a.context_id
LEFT JOIN core.source_compound s ON s.source_compound_id = a.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id;
COMMENT ON VIEW pbdb.agreement IS
    'How far two matched conditions agree: one row for each statistic, with its baselines; score null where undefined';
COMMENT ON COLUMN pbdb.agreement.delta_source_centroid IS 'Score less source_centroid; null where either is undefined';
COMMENT ON COLUMN pbdb.agreement.delta_target_centroid IS 'Score less target_centroid; null where either is undefined';
COMMENT ON COLUMN pbdb.agreement.delta_source_peer IS 'Score less source_peer_mean; null where either is undefined';
COMMENT ON COLUMN pbdb.agreement.delta_target_peer IS 'Score less target_peer_mean; null where either is undefined';
