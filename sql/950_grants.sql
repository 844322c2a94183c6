-- Views and functions by name; which rows a role sees is decided by the policies of the tables.
GRANT SELECT ON core.effect, core.gene_effect, core.sample TO pbdb_reader, pbdb_public;
GRANT SELECT ON
    pbdb.agreement, pbdb.agreement_summary, pbdb.compound, pbdb.compound_alias, pbdb.compound_annotation,
    pbdb.compound_embedding, pbdb.embedding_model, pbdb.evaluation, pbdb.condition, pbdb.condition_effect, pbdb.context, pbdb.coverage, pbdb.compendium, pbdb.dataset, pbdb.effect,
    pbdb.any_effect, pbdb.further_effect,
    pbdb.effect_sample, pbdb.etl_run, pbdb.fit, pbdb.fit_gene, pbdb.gene, pbdb.gene_response,
    pbdb.matched_condition, pbdb.matched_effect, pbdb.matched_gene, pbdb.mechanism, pbdb.replicate_agreement, pbdb.replicate_effect,
    pbdb.sample, pbdb.split, pbdb.split_member
TO pbdb_reader, pbdb_public;
