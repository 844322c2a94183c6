"""Effects in the order of how many genes they change: who asks for the strongest reads as many as he shows."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_effect_n_changed ON part.effect ((n_up + n_down) DESC NULLS LAST, effect_id)")


def downgrade() -> None:
    op.execute("DROP INDEX part.ix_effect_n_changed")
