"""Compounds, doses and times of the effects of every fit, in their order, so that gene_response looks none up."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

VISIBLE = "EXISTS (SELECT FROM core.fit p WHERE p.fit_id = fit_conditions.fit_id)"
COLUMNS = {
    "source_compound_ids": (sa.BigInteger(), "Compounds as their dataset wrote them, in the order of condition_ids"),
    "doses_um": (sa.Double(), "Doses in micromolar, in the order of condition_ids"),
    "times_h": (sa.Double(), "Times in hours, in the order of condition_ids"),
}
TRIGGERS = """
CREATE FUNCTION core.set_conditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO core.fit_conditions (fit_id, source_compound_ids, doses_um, times_h)
    SELECT NEW.fit_id, coalesce(array_agg(c.source_compound_id ORDER BY k.place), '{}'),
        coalesce(array_agg(c.dose_um ORDER BY k.place), '{}'), coalesce(array_agg(c.time_h ORDER BY k.place), '{}')
    FROM unnest(NEW.condition_ids) WITH ORDINALITY k (condition_id, place)
    LEFT JOIN core.condition c ON c.condition_id = k.condition_id
    ON CONFLICT (fit_id) DO UPDATE SET source_compound_ids = EXCLUDED.source_compound_ids,
        doses_um = EXCLUDED.doses_um, times_h = EXCLUDED.times_h;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION core.set_conditions() IS 'Fills fit_conditions';
CREATE FUNCTION core.pass_condition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE core.fit SET condition_ids = condition_ids WHERE NEW.condition_id = ANY (condition_ids);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION core.pass_condition() IS 'Passes what a condition became on to fit_conditions';
CREATE TRIGGER set_conditions AFTER INSERT OR UPDATE OF condition_ids
    ON core.fit FOR EACH ROW EXECUTE FUNCTION core.set_conditions();
CREATE TRIGGER pass_condition AFTER UPDATE
    ON core.condition FOR EACH ROW
    WHEN ((OLD.source_compound_id, OLD.dose_um, OLD.time_h) IS DISTINCT FROM
        (NEW.source_compound_id, NEW.dose_um, NEW.time_h))
    EXECUTE FUNCTION core.pass_condition();
"""


def upgrade() -> None:
    """Make the table, have it kept, and fill it by the same way."""
    key = "Key of a fit: first 52 bits of SHA-256 over table name and natural key: the same on every machine"
    op.create_table(
        "fit_conditions",
        sa.Column("fit_id", sa.BigInteger(), autoincrement=False, nullable=False, comment=key),
        *(
            sa.Column(name, postgresql.ARRAY(kind), nullable=False, comment=comment)
            for name, (kind, comment) in COLUMNS.items()
        ),
        sa.CheckConstraint(
            "array_position(source_compound_ids, NULL) IS NULL", name=op.f("ck_fit_conditions_conditions_are_there")
        ),
        sa.ForeignKeyConstraint(
            ["fit_id"], ["core.fit.fit_id"], name=op.f("fk_fit_conditions_fit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("fit_id", name=op.f("pk_fit_conditions")),
        schema="core",
        comment="Compounds, doses and times of a fit's effects, kept as they are in condition, beside its arrays",
    )
    for column in COLUMNS:
        op.execute(f"ALTER TABLE core.fit_conditions ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.execute("GRANT SELECT ON core.fit_conditions TO pbdb_reader, pbdb_public")
    op.execute("ALTER TABLE core.fit_conditions ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY reader ON core.fit_conditions FOR SELECT TO pbdb_reader USING (true)")
    op.execute(f"CREATE POLICY public ON core.fit_conditions FOR SELECT TO pbdb_public USING ({VISIBLE})")
    op.execute(TRIGGERS)
    op.execute("UPDATE core.fit SET condition_ids = condition_ids")


def downgrade() -> None:
    op.execute("DROP TRIGGER set_conditions ON core.fit")
    op.execute("DROP TRIGGER pass_condition ON core.condition")
    op.execute("DROP FUNCTION core.set_conditions(), core.pass_condition()")
    op.drop_table("fit_conditions", schema="core")
