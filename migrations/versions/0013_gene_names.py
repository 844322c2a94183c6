"""Names of the genes of every feature set, in its order: views of effects unnest them instead of looking each one up."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

VISIBLE = "EXISTS (SELECT FROM core.fit p WHERE p.feature_set_id = feature_set_genes.feature_set_id)"
TRIGGERS = """
CREATE FUNCTION core.set_gene_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Who renames genes and does not see this row yet waits until it does, and the reverse.
    PERFORM pg_advisory_xact_lock_shared('core.feature_set_genes'::regclass::bigint);
    INSERT INTO core.feature_set_genes (feature_set_id, gene_ids, gene_symbols)
    SELECT NEW.feature_set_id, coalesce(array_agg(g.gene_id ORDER BY k.place), '{}'),
        coalesce(array_agg(g.symbol ORDER BY k.place), '{}')
    FROM unnest(NEW.gene_keys) WITH ORDINALITY k (gene_key, place)
    LEFT JOIN core.gene g ON g.gene_key = k.gene_key
    ON CONFLICT (feature_set_id) DO UPDATE SET gene_ids = EXCLUDED.gene_ids, gene_symbols = EXCLUDED.gene_symbols;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION core.set_gene_names() IS 'Fills feature_set_genes';
CREATE FUNCTION core.pass_gene_names() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    renamed integer[] := ARRAY(
        SELECT n.gene_key FROM named n JOIN called c ON c.gene_key = n.gene_key
        WHERE (n.gene_id, n.symbol) IS DISTINCT FROM (c.gene_id, c.symbol));
BEGIN
    IF renamed <> '{}' THEN
        PERFORM pg_advisory_xact_lock('core.feature_set_genes'::regclass::bigint);
        UPDATE core.feature_set h SET gene_keys = h.gene_keys
        WHERE EXISTS (SELECT FROM unnest(h.gene_keys) k WHERE k = ANY (renamed));
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION core.pass_gene_names() IS 'Passes new names of genes on to feature_set_genes';
CREATE TRIGGER set_gene_names AFTER INSERT OR UPDATE OF gene_keys
    ON core.feature_set FOR EACH ROW EXECUTE FUNCTION core.set_gene_names();
CREATE TRIGGER pass_gene_names AFTER UPDATE
    ON core.gene REFERENCING OLD TABLE AS called NEW TABLE AS named
    FOR EACH STATEMENT EXECUTE FUNCTION core.pass_gene_names();
"""


def upgrade() -> None:
    """Make the table, have it kept, and fill it by the same way."""
    names = postgresql.ARRAY(sa.Text())
    key = "Key of a feature set: first 52 bits of SHA-256 over table name and natural key: the same on every machine"
    op.create_table(
        "feature_set_genes",
        sa.Column("feature_set_id", sa.BigInteger(), autoincrement=False, nullable=False, comment=key),
        sa.Column("gene_ids", names, nullable=False, comment="Ensembl ids, in the order of gene_keys"),
        sa.Column("gene_symbols", names, nullable=False, comment="Symbols, in the order of gene_keys"),
        sa.CheckConstraint("array_position(gene_ids, NULL) IS NULL", name=op.f("ck_feature_set_genes_genes_are_there")),
        sa.ForeignKeyConstraint(
            ["feature_set_id"],
            ["core.feature_set.feature_set_id"],
            name=op.f("fk_feature_set_genes_feature_set_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("feature_set_id", name=op.f("pk_feature_set_genes")),
        schema="core",
        comment="Names of the genes of a feature set, kept as they are in gene, so that views look none up",
    )
    for column in ("gene_ids", "gene_symbols"):
        op.execute(f"ALTER TABLE core.feature_set_genes ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.execute("GRANT SELECT ON core.feature_set_genes TO pbdb_reader, pbdb_public")
    op.execute("ALTER TABLE core.feature_set_genes ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY reader ON core.feature_set_genes FOR SELECT TO pbdb_reader USING (true)")
    op.execute(f"CREATE POLICY public ON core.feature_set_genes FOR SELECT TO pbdb_public USING ({VISIBLE})")
    op.execute(TRIGGERS)
    op.execute("UPDATE core.feature_set SET gene_keys = gene_keys")


def downgrade() -> None:
    op.execute("DROP TRIGGER set_gene_names ON core.feature_set")
    op.execute("DROP TRIGGER pass_gene_names ON core.gene")
    op.execute("DROP FUNCTION core.set_gene_names(), core.pass_gene_names()")
    op.drop_table("feature_set_genes", schema="core")
