"""p values of counts: limma's stand beside them, each fit says which it has and whether they hold on its vehicle wells.

Fits made before keep their p values, and say that they are limma's (or DESeq2's).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REALS = postgresql.ARRAY(sa.REAL())
ARRAYS = {"core.fit": ("dispersion",), "part.effect": ("neg_log10_p_limma", "neg_log10_p_adj_limma")}


def upgrade() -> None:
    for column in _of_fit():
        op.add_column("fit", column, schema="core")
    for column in _of_effect():
        op.add_column("effect", column, schema="part")
    for table, columns in ARRAYS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
    op.execute("UPDATE core.fit SET p_values = 'deseq2' WHERE method = 'deseq2'")
    op.create_check_constraint(
        op.f("ck_fit_p_values"), "fit", "p_values IN ('counts', 'limma', 'deseq2')", schema="core"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_fit_p_values"), "fit", schema="core", type_="check")
    for column in reversed(_of_effect()):
        op.drop_column("effect", column.name, schema="part")
    for column in reversed(_of_fit()):
        op.drop_column("fit", column.name, schema="core")


def _of_fit() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "p_values",
            sa.Text(),
            server_default="limma",
            nullable=False,
            comment="Which test p values are of: counts (negative binomial, holds for single wells), limma or deseq2",
        ),
        sa.Column(
            "dispersion",
            REALS,
            nullable=True,
            comment="Moderated negative binomial dispersion of each gene; null unless p values are of counts",
        ),
        sa.Column(
            "n_null_wells",
            sa.Integer(),
            nullable=True,
            comment="Vehicle wells tested against the others of their vehicle, to see whether p values hold",
        ),
        sa.Column(
            "null_any_share",
            sa.Double(),
            nullable=True,
            comment="Share of those wells with any gene below p_adj 0.05; 0.05 is expected where p values hold",
        ),
        sa.Column(
            "null_any_share_low",
            sa.Double(),
            nullable=True,
            comment="Lower end of the exact 95 % interval of null_any_share",
        ),
        sa.Column(
            "null_any_share_high",
            sa.Double(),
            nullable=True,
            comment="Upper end of the exact 95 % interval of null_any_share",
        ),
        sa.Column(
            "null_tail_ratio",
            sa.Double(),
            nullable=True,
            comment="Tests of those wells with p below 0.001, over the number expected; near 1 where p values hold",
        ),
    ]


def _of_effect() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "null_spread",
            sa.REAL(),
            nullable=True,
            comment="Median |z| of the genes over that of noise: far above 1, much responds or the wells are odd;"
            " null unless p values are of counts",
        ),
        sa.Column(
            "neg_log10_p_limma",
            REALS,
            nullable=True,
            comment="-log10 of limma's p value, beside p values of counts; else null",
        ),
        sa.Column(
            "neg_log10_p_adj_limma",
            REALS,
            nullable=True,
            comment="-log10 of limma's p value adjusted over the genes of one effect (BH); else null",
        ),
    ]
