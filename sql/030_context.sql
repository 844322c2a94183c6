CREATE VIEW pbdb.context WITH (security_invoker = true) AS
SELECT
    x.context, x.context_name, x.kind, x.tissue, x.tissue_id, x.disease, x.disease_id, x.organism, x.sex,
    x.development_stage, x.ethnicity, x.donor, x.parent_context, x.is_problematic, x.problem_reason
FROM core.context x;
COMMENT ON VIEW pbdb.context IS 'The cells: cell lines and primary cell types, with what is known of their donor';
COMMENT ON COLUMN pbdb.context.kind IS 'cell_line, primary_cell or unknown';
