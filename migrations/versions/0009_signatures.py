"""Signatures stand in a table of their own, outside the partitions, with one index for all data sets.

The index compares short vectors: coordinates on the principal axes of the signatures. What it finds is compared exactly.
The tables are filled from the effects that are stored; `pbdb signature index` makes the index.
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = "first 52 bits of SHA-256 over table name and natural key: the same on every machine"
NUMBER = "Number of the generation: what one load made of a dataset"
PROJECTION = "Number of a projection, with which an index is made; null where no index holds the signatures yet"
LANDMARKS = "Moderated t of the 978 landmarks in landmark_index order, clipped to +-50, 0 where untested"
OF_DATASET = "dataset_id = ANY (ARRAY(SELECT d.dataset_id FROM core.dataset d))"
VISIBLE = {
    "signature": OF_DATASET,
    "signature_fit": OF_DATASET,
    "signature_projection": "datasets <@ ARRAY(SELECT d.dataset FROM core.dataset d)",
    "projected_signature": f"{OF_DATASET} AND projection_id = ANY"
    " (ARRAY(SELECT p.projection_id FROM core.signature_projection p))",
}
INDEXES = """
    SELECT format('%I.%I', n.nspname, x.relname)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
    JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE m.amname = 'hnsw' AND n.nspname = 'part'"""


def upgrade() -> None:
    """Make the tables, fill them, and drop the indexes of partitions."""
    _signature()
    _signature_fit()
    _signature_projection()
    _projected_signature()
    for table, visible in VISIBLE.items():
        op.execute(f"GRANT SELECT ON core.{table} TO pbdb_reader, pbdb_public")
        op.execute(f"ALTER TABLE core.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY reader ON core.{table} FOR SELECT TO pbdb_reader USING (true)")
        op.execute(f"CREATE POLICY public ON core.{table} FOR SELECT TO pbdb_public USING ({visible})")
    for name in op.get_bind().execute(sa.text(INDEXES)).scalars().all():
        op.execute(f"DROP INDEX {name}")
    _fill()


def downgrade() -> None:
    """Drop the tables; `pbdb signature index` of the version before makes its indexes again."""
    op.execute("DROP POLICY public ON core.projected_signature")
    for table in reversed(VISIBLE):
        op.drop_table(table, schema="core")


def _fill() -> None:
    op.execute("""
        INSERT INTO core.signature (effect_id, dataset_id, fit_id, condition_id, n_landmarks, landmark_t)
        SELECT e.effect_id, e.dataset_id, e.fit_id, e.condition_id, e.n_landmarks, e.landmark_t
        FROM core.generation g
        JOIN part.effect e ON e.dataset_id = g.dataset_id AND e.generation = g.generation
        JOIN core.fit f ON f.fit_id = e.fit_id AND f.is_default
        WHERE g.is_current AND e.landmark_t IS NOT NULL""")
    op.execute("""
        INSERT INTO core.signature_fit (fit_id, dataset_id, generation, n_signatures)
        SELECT s.fit_id, s.dataset_id, g.generation, count(*)
        FROM core.signature s JOIN core.generation g ON g.dataset_id = s.dataset_id AND g.is_current
        GROUP BY s.fit_id, s.dataset_id, g.generation""")


def _inline(table: str, column: str) -> None:
    """Keep a vector in the row itself, uncompressed: it is compared by the hundred."""
    op.execute(f"ALTER TABLE core.{table} ALTER COLUMN {column} SET STORAGE MAIN")
    op.execute(f"ALTER TABLE core.{table} ALTER COLUMN {column} SET STATISTICS 0")
    op.execute(f"ALTER TABLE core.{table} SET (toast_tuple_target = 4080)")


def _key(name: str, what: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False, comment=f"Key of {what}: {KEY}")


def _dataset() -> sa.Column:
    return sa.Column("dataset_id", sa.BigInteger(), nullable=False, comment="Key of the dataset")


def _of_fit(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_fit_id")
    return sa.ForeignKeyConstraint(["fit_id"], ["core.fit.fit_id"], name=name, ondelete="CASCADE")


def _signature() -> None:
    op.create_table(
        "signature",
        _key("effect_id", "an effect"),
        _dataset(),
        _key("fit_id", "a fit"),
        _key("condition_id", "a condition"),
        sa.Column("n_landmarks", sa.Integer(), nullable=True, comment="Landmark genes among the tested genes"),
        sa.Column("landmark_t", pgvector.sqlalchemy.HALFVEC(978), nullable=False, comment=LANDMARKS),
        _of_fit("signature"),
        sa.PrimaryKeyConstraint("effect_id", name=op.f("pk_signature")),
        schema="core",
        comment="The signature of a pooled effect of a default fit, as search compares it; all data sets together",
    )
    op.create_index(op.f("ix_signature_fit_id"), "signature", ["fit_id"], schema="core")
    _inline("signature", "landmark_t")


def _signature_fit() -> None:
    op.create_table(
        "signature_fit",
        _key("fit_id", "a fit"),
        _dataset(),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment=NUMBER),
        sa.Column("n_signatures", sa.Integer(), nullable=False, comment="Number of signatures"),
        sa.Column("projection_id", sa.BigInteger(), nullable=True, comment=PROJECTION),
        _of_fit("signature_fit"),
        sa.PrimaryKeyConstraint("fit_id", name=op.f("pk_signature_fit")),
        schema="core",
        comment="The signatures of a fit: how many, and of which projection the index holds them",
    )
    op.create_index(op.f("ix_signature_fit_dataset_id"), "signature_fit", ["dataset_id"], schema="core")


def _signature_projection() -> None:
    op.create_table(
        "signature_projection",
        sa.Column("projection_id", sa.BigInteger(), sa.Identity(), nullable=False, comment=PROJECTION),
        sa.Column(
            "axes",
            postgresql.ARRAY(pgvector.sqlalchemy.HALFVEC(978)),
            nullable=False,
            comment="Unit vectors over the 978 landmarks, in order of the variance of signatures of length 1 along them",
        ),
        sa.Column(
            "datasets",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Data sets whose effects went in: the row is shown to those only who may see all of them",
        ),
        sa.Column("n_signatures", sa.Integer(), nullable=False, comment="Number of signatures"),
        sa.Column(
            "share_explained",
            sa.REAL(),
            nullable=False,
            comment="Share of the squared length of the signatures that lies along the axes, 0 to 1",
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of pbdb that wrote the row"),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was written",
        ),
        sa.PrimaryKeyConstraint("projection_id", name=op.f("pk_signature_projection")),
        schema="core",
        comment="Principal axes of signatures, computed once for an index: it compares coordinates on them",
    )


def _projected_signature() -> None:
    op.create_table(
        "projected_signature",
        sa.Column("projection_id", sa.BigInteger(), autoincrement=False, nullable=False, comment=PROJECTION),
        _key("effect_id", "an effect"),
        _dataset(),
        _key("fit_id", "a fit"),
        sa.Column("coordinates", pgvector.sqlalchemy.HALFVEC(192), nullable=False, comment="Coordinates on the axes"),
        sa.PrimaryKeyConstraint("projection_id", "effect_id", name=op.f("pk_projected_signature")),
        schema="core",
        comment="A signature of length 1 on the axes of a projection: finds candidates for exact comparison",
    )
    op.create_index(op.f("ix_projected_signature_fit_id"), "projected_signature", ["fit_id"], schema="core")
    _inline("projected_signature", "coordinates")
