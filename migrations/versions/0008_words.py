"""One word, one meaning: n_vehicle (not n_control) and landmark_t, which holds moderated t; nothing is rewritten."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAMES = (
    ("core.fit", "n_control", "n_vehicle"),
    ("part.effect", "n_control", "n_vehicle"),
    ("part.effect", "n_control_same_plates", "n_vehicle_same_plates"),
    ("part.effect", "landmark", "landmark_t"),
)
WORDS = (
    ("core.dataset", "license", "Lic{} of the data, in the words of the provider or as SPDX id", "ence", "ense"),
    (
        "core.gene",
        "landmark_index",
        "Position among the 978 landmarks, from 0: the order of effect.{}",
        "landmark",
        "landmark_t",
    ),
)


def upgrade() -> None:
    """Rename columns in the catalog; partitions and indexes follow."""
    for table, before, after in NAMES:
        _rename(table, before, after)
    for table, column, words, _, after in WORDS:
        _comment(table, column, words.format(after))


def downgrade() -> None:
    for table, before, after in NAMES:
        _rename(table, after, before)
    for table, column, words, before, _ in WORDS:
        _comment(table, column, words.format(before))


def _rename(table: str, before: str, after: str) -> None:
    op.execute(sa.text(f"ALTER TABLE {table} RENAME COLUMN {before} TO {after}"))


def _comment(table: str, column: str, words: str) -> None:
    op.execute(sa.text(f"COMMENT ON COLUMN {table}.{column} IS '{words}'"))
