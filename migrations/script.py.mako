"""${message}.

A revision changes tables only, never views (sql/ holds them), and imports no model. A new table needs comments,
GRANT SELECT to pbdb_reader and pbdb_public, and, if it holds rows of a dataset, row-level security; pbdb.models.rules
says the same for the comparison that `pbdb db check` makes.
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
