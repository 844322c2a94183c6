"""p values gene by gene: gene_effect holds -log10 p beside its adjustment, so that gene_response shows both.

Effects loaded before have none there; loading their data set again adds them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column(
        "neg_log10_p", postgresql.ARRAY(sa.REAL()), nullable=True, comment="-log10 of the two-sided p value"
    )
    op.add_column("gene_effect", column, schema="part")
    op.execute("ALTER TABLE part.gene_effect ALTER COLUMN neg_log10_p SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE part.gene_effect ALTER COLUMN neg_log10_p SET STATISTICS 0")


def downgrade() -> None:
    op.drop_column("gene_effect", "neg_log10_p", schema="part")
