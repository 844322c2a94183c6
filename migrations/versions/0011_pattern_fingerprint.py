"""A compound's fingerprint for substructures is called what it is; what sample_id says is true of samples, too."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = "Key of a sample: first 52 bits of SHA-256 over table name and natural key: the same on every machine; "
TABLES = ("core.fit_sample", "part.effect", "part.sample")


def upgrade() -> None:
    op.execute("ALTER TABLE core.compound RENAME COLUMN screen TO pattern_fingerprint")
    _say("an effect of pooled samples has none")


def downgrade() -> None:
    op.execute("ALTER TABLE core.compound RENAME COLUMN pattern_fingerprint TO screen")
    _say("null for pooled effects")


def _say(of_effects: str) -> None:
    for table in TABLES:
        op.execute(f"COMMENT ON COLUMN {table}.sample_id IS '{KEY}{of_effects}'")
