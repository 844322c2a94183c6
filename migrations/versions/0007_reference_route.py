"""Compounds may be resolved by the name that a reference table in use gives one structure."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BEFORE = ("structure", "inchikey", "pubchem_cid", "alias", "cas", "name", "unresolved")
ROUTES = (*BEFORE[:-1], "reference", "unresolved")


def upgrade() -> None:
    """Let the route be `reference`."""
    _allow(ROUTES)


def downgrade() -> None:
    """Take what was resolved so for unresolved."""
    op.execute("UPDATE core.source_compound SET resolved_by = 'unresolved' WHERE resolved_by = 'reference'")
    _allow(BEFORE)


def _allow(routes: tuple[str, ...]) -> None:
    name = op.f("ck_source_compound_resolved_by")
    op.drop_constraint(name, "source_compound", schema="core", type_="check")
    listed = ", ".join(f"'{route}'" for route in routes)
    op.create_check_constraint(name, "source_compound", f"resolved_by IN ({listed})", schema="core")
    words = f"What decided the identity: {', '.join(routes[:-1])} or {routes[-1]}"
    op.execute(f"COMMENT ON COLUMN core.source_compound.resolved_by IS '{words}'")
