"""Embedding models, vectors of compounds, evaluations; splits that hold compounds out of one dataset."""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("embedding_model", "compound_embedding", "evaluation")
LEARNT_FROM = "Data sets whose effects went in: the row is shown to those only who may see all of them"
KEY = "first 52 bits of SHA-256 over table name and natural key: the same on every machine"
VISIBLE = {
    "embedding_model": "datasets <@ ARRAY(SELECT d.dataset FROM core.dataset d)",
    "compound_embedding": "EXISTS (SELECT FROM core.embedding_model p WHERE p.model_id = compound_embedding.model_id)",
    "evaluation": "datasets <@ ARRAY(SELECT d.dataset FROM core.dataset d)",
}
KINDS = ("compound", "scaffold", "context", "dataset", "published", "attribute")
WORDS = "What is held out: compound, scaffold, context, dataset or published; attribute: what the source says"
NEW_WORDS = (
    "What is held out: compound, scaffold, context, dataset, published or transfer; attribute: what the source says"
)


def upgrade() -> None:
    """Make the tables, and let a split be of kind transfer."""
    _embedding_model()
    _compound_embedding()
    _evaluation()
    for table in TABLES:
        op.execute(f"GRANT SELECT ON core.{table} TO pbdb_reader, pbdb_public")
    for table, visible in VISIBLE.items():
        op.execute(f"ALTER TABLE core.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY reader ON core.{table} FOR SELECT TO pbdb_reader USING (true)")
        op.execute(f"CREATE POLICY public ON core.{table} FOR SELECT TO pbdb_public USING ({visible})")
    _allow((*KINDS, "transfer"), NEW_WORDS)


def downgrade() -> None:
    """Drop the tables, the splits of kind transfer, and the kind."""
    op.execute("DELETE FROM core.split WHERE kind = 'transfer'")
    _allow(KINDS, WORDS)
    op.execute("DROP POLICY public ON core.compound_embedding")
    for table in reversed(TABLES):
        op.drop_table(table, schema="core")


def _allow(kinds: tuple[str, ...], words: str) -> None:
    op.drop_constraint(op.f("ck_split_kind"), "split", schema="core", type_="check")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_split_kind"), "split", f"kind IN ({listed})", schema="core")
    op.execute(f"COMMENT ON COLUMN core.split.kind IS '{words}'")


def _made() -> list[sa.Column]:
    return [
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Every parameter of the computation, by name",
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of pbdb that wrote the row"),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was written",
        ),
    ]


def _embedding_model() -> None:
    op.create_table(
        "embedding_model",
        sa.Column(
            "model_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment=f"Key of an embedding model: {KEY}",
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="Name of an embedding model"),
        sa.Column("kind", sa.Text(), nullable=False, comment="lowrank, lpm, or foreign: made by other software"),
        sa.Column(
            "is_default_model",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True for the one model that is asked unless another is named",
        ),
        sa.Column("n_dimensions", sa.Integer(), nullable=False, comment="Length of the model's vectors"),
        sa.Column("datasets", postgresql.ARRAY(sa.Text()), nullable=False, comment=LEARNT_FROM),
        sa.Column(
            "training_split",
            sa.Text(),
            nullable=True,
            comment="Split whose training fold alone the model saw; null where it saw all conditions",
        ),
        sa.Column(
            "learnt_from",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="What was read: the database, or a snapshot with release and fingerprint; conditions, genes, compounds",
        ),
        sa.Column(
            "cosine_levels",
            postgresql.ARRAY(sa.DOUBLE_PRECISION()),
            nullable=False,
            comment="Shares of random pairs that cosine_quantiles belong to",
        ),
        sa.Column(
            "cosine_quantiles",
            postgresql.ARRAY(sa.DOUBLE_PRECISION()),
            nullable=False,
            comment="Cosines of random pairs at cosine_levels, for five classes of reliability (below 0.3, 0.5, 0.7, 0.9, and above) one after the other; the lower reliability of a pair is its class",
        ),
        *_made(),
        sa.CheckConstraint("kind IN ('lowrank', 'lpm', 'foreign')", name=op.f("ck_embedding_model_kind")),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_embedding_model")),
        sa.UniqueConstraint("model", name=op.f("uq_embedding_model_model")),
        schema="core",
        comment="A model that gives compounds vectors by how they act: what it learned from, and how",
    )
    op.create_index(
        "uq_embedding_model_default",
        "embedding_model",
        ["is_default_model"],
        unique=True,
        schema="core",
        postgresql_where=sa.text("is_default_model"),
    )


def _compound_embedding() -> None:
    op.create_table(
        "compound_embedding",
        sa.Column(
            "model_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment=f"Key of an embedding model: {KEY}",
        ),
        sa.Column(
            "parent_inchikey",
            sa.Text(),
            nullable=False,
            comment="InChIKey of the salt- and solvent-free parent; null where the structure is not known",
        ),
        sa.Column(
            "vec",
            pgvector.sqlalchemy.VECTOR(),
            nullable=False,
            comment="Vector of the compound: near in direction means acts alike",
        ),
        sa.Column(
            "reliability",
            sa.REAL(),
            nullable=True,
            comment="Share of the variance among compounds that the model's data took away, 0 to 1: a rank, no probability; null where the model does not say",
        ),
        sa.Column(
            "n_training_effects", sa.Integer(), nullable=False, comment="Effects of the compound the model learned from"
        ),
        sa.Column("n_training_datasets", sa.Integer(), nullable=False, comment="Data sets among those effects"),
        sa.Column("n_training_contexts", sa.Integer(), nullable=False, comment="Contexts among those effects"),
        sa.Column(
            "from_structure",
            sa.Boolean(),
            nullable=False,
            comment="True where the model saw no effect of the compound and guesses from its structure alone",
        ),
        sa.CheckConstraint("reliability BETWEEN 0 AND 1", name=op.f("ck_compound_embedding_reliability")),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["core.embedding_model.model_id"],
            name=op.f("fk_compound_embedding_model_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "parent_inchikey", name=op.f("pk_compound_embedding")),
        schema="core",
        comment="The vector of a compound (all salts of a parent are one) in an embedding model",
    )
    op.create_index(
        op.f("ix_compound_embedding_parent_inchikey"),
        "compound_embedding",
        ["parent_inchikey"],
        unique=False,
        schema="core",
    )


def _evaluation() -> None:
    op.create_table(
        "evaluation",
        sa.Column(
            "evaluation_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment=f"Key of an evaluation: {KEY}",
        ),
        sa.Column("evaluation", sa.Text(), nullable=False, comment="Name of an evaluation"),
        sa.Column(
            "task",
            sa.Text(),
            nullable=False,
            comment="What is held out: transfer (compounds new to their data set), compound, scaffold, op3, or a split",
        ),
        sa.Column(
            "evaluated_on",
            sa.Text(),
            nullable=False,
            comment="Data set of the held-out conditions; all: mean over data sets",
        ),
        sa.Column("learner", sa.Text(), nullable=False, comment="Method that predicted"),
        sa.Column(
            "statistic",
            sa.Text(),
            nullable=False,
            comment="skill (1 - squared error / that of the contexts' means), delta_correlation (of differences from the context's mean), rmse, or a metric of OP3",
        ),
        sa.Column(
            "quantity",
            sa.Text(),
            nullable=False,
            comment="score; a baseline or statistic of peers; or delta_ and a baseline: the score less the baseline",
        ),
        sa.Column("n_test_conditions", sa.Integer(), nullable=False, comment="Held-out conditions the number is of"),
        sa.Column(
            "n_test_compounds", sa.Integer(), nullable=False, comment="Distinct compounds among the held-out conditions"
        ),
        sa.Column("n_repeats", sa.Integer(), nullable=False, comment="Splits the number is a mean of"),
        sa.Column("estimate", sa.Double(), nullable=True, comment="The number; null where undefined"),
        sa.Column("interval_low", sa.Double(), nullable=True, comment="Lower end of the 95 % interval"),
        sa.Column("interval_high", sa.Double(), nullable=True, comment="Upper end of the 95 % interval"),
        sa.Column("interval_status", sa.Text(), nullable=False, comment="bca, percentile, degenerate or not_estimable"),
        sa.Column("datasets", postgresql.ARRAY(sa.Text()), nullable=False, comment=LEARNT_FROM),
        *_made(),
        sa.CheckConstraint(
            "interval_status IN ('bca', 'percentile', 'degenerate', 'not_estimable')",
            name=op.f("ck_evaluation_interval_status"),
        ),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "evaluated_on", "learner", "statistic", "quantity", name=op.f("pk_evaluation")
        ),
        schema="core",
        comment="One number of an evaluation: a method's statistic on the held-out compounds of a data set",
    )
