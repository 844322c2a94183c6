"""Stages of a load have the names and the order in which they run: what was `load` is `publish`."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BEFORE = ("extract", "transform", "validate", "load", "effects", "match")
STAGES = ("extract", "transform", "validate", "effects", "publish", "match")


def upgrade() -> None:
    """Call the stage that changes the database by what it does."""
    _rename("load", "publish", STAGES)


def downgrade() -> None:
    """Give the stage its old name."""
    _rename("publish", "load", BEFORE)


def _rename(old: str, new: str, stages: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_etl_run_stage"), "etl_run", schema="core", type_="check")
    op.execute(f"UPDATE core.etl_run SET stage = '{new}' WHERE stage = '{old}'")
    listed = ", ".join(f"'{stage}'" for stage in stages)
    op.create_check_constraint(op.f("ck_etl_run_stage"), "etl_run", f"stage IN ({listed})", schema="core")
    words = f"{', '.join(stages[:-1])} or {stages[-1]}"
    op.execute(f"COMMENT ON COLUMN core.etl_run.stage IS '{words}'")
