"""Splits that follow an attribute the source gives its conditions."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEFORE = ("compound", "scaffold", "context", "dataset", "published")
WORDS = "What is held out: compound, scaffold, context, dataset or published"


def upgrade() -> None:
    """Let a split be of kind attribute."""
    _allow((*BEFORE, "attribute"), f"{WORDS}; attribute: what the source says")


def downgrade() -> None:
    """Drop the splits of kind attribute, and the kind."""
    op.execute("DELETE FROM core.split WHERE kind = 'attribute'")
    _allow(BEFORE, WORDS)


def _allow(kinds: tuple[str, ...], words: str) -> None:
    op.drop_constraint(op.f("ck_split_kind"), "split", schema="core", type_="check")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_split_kind"), "split", f"kind IN ({listed})", schema="core")
    op.execute(f"COMMENT ON COLUMN core.split.kind IS '{words}'")
