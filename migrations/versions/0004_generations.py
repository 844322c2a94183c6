"""Each load makes a generation of its dataset beside the one before; which is current is one row, seen by snapshot.

The rows of sample, effect and gene_effect move into partitions of tables of schema part, with the number of their
generation; core.sample and so on become views (sql/) of the current ones. Nothing is copied: partitions are moved.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NUMBER = "Number of the generation: what one load made of a dataset"
# The keys of each table, to which the generation is added, and its other indexes.
KEYS = {
    "sample": {"pk": ("dataset_id", "sample_id"), "uq": ("dataset_id", "source_sample")},
    "effect": {"pk": ("dataset_id", "effect_id")},
    "gene_effect": {"pk": ("dataset_id", "gene_key", "fit_id")},
}
INDEXES = {
    "sample": ("sample_id", "condition_id", "source_compound_id", "context_id", "plate_id"),
    "effect": ("effect_id", "fit_id", "condition_id", "sample_id"),
    "gene_effect": ("gene_key", "fit_id"),
}
PARENTS = {
    "sample": (
        ("condition_id", "condition"),
        ("context_id", "context"),
        ("dataset_id", "dataset"),
        ("plate_id", "plate"),
        ("source_compound_id", "source_compound"),
    ),
    "effect": (("condition_id", "condition"), ("dataset_id", "dataset"), ("fit_id", "fit")),
    "gene_effect": (("dataset_id", "dataset"), ("fit_id", "fit"), ("gene_key", "gene")),
}
VALUES = {
    "sample": (),
    "effect": ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj", "landmark"),
    "gene_effect": ("log2_fc", "se", "neg_log10_p_adj"),
}
VISIBLE = "dataset_id = ANY (ARRAY(SELECT d.dataset_id FROM core.dataset d))"
LIKE = (
    "INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS"
    " INCLUDING CONSTRAINTS"
)
PARTITIONS = """
    SELECT format('%I.%I', n.nspname, c.relname), substring(pg_get_expr(c.relpartbound, c.oid) FROM '\\((.*?)\\)')
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = CAST(:parent AS regclass) ORDER BY 1"""
UNUSED = """
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'part' AND c.relkind = 'r' AND NOT c.relispartition"""
CONSTRAINTS = """
    SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = CAST(:name AS regclass) AND contype = ANY (:kinds)"""


def upgrade() -> None:
    _create_generation()
    numbers = _numbers()
    for name in op.get_bind().execute(sa.text(UNUSED)).scalars().all():
        op.execute(f"DROP TABLE {name}")
    for table in KEYS:
        op.execute(
            f"CREATE TABLE part.{table} (LIKE core.{table} {LIKE}, generation bigint NOT NULL)"
            " PARTITION BY RANGE (dataset_id, generation)"
        )
        op.execute(f"COMMENT ON COLUMN part.{table}.generation IS '{NUMBER}'")
        _rule("part", table, ", generation")
        # Two steps: a partition may bear the name that another is to get.
        detached = [(_detach(table, name, numbers[int(key)]), int(key)) for name, key in _partitions(f"core.{table}")]
        for name, key in detached:
            _move(table, name, key, numbers[key])
        op.execute(f"COMMENT ON TABLE part.{table} IS '{_words('core', table)}'")
        op.execute(f"DROP TABLE core.{table}")


def downgrade() -> None:
    for table in KEYS:
        op.execute(f"CREATE TABLE core.{table} (LIKE part.{table} {LIKE}) PARTITION BY LIST (dataset_id)")
        op.execute(f"ALTER TABLE core.{table} DROP COLUMN generation")
        _rule("core", table, "")
        for column, parent in PARENTS[table]:
            op.execute(
                f"ALTER TABLE core.{table} ADD CONSTRAINT fk_{table}_{column} FOREIGN KEY ({column})"
                f" REFERENCES core.{parent} ({column})"
            )
        for key, number in _current():
            name = f"part.{table}_{number}"
            if op.get_bind().execute(sa.text("SELECT to_regclass(:name)"), {"name": name}).scalar():
                _move_back(table, name, key)
        op.execute(f"COMMENT ON TABLE core.{table} IS '{_words('part', table)}'")
        op.execute(f"DROP TABLE part.{table}")
    op.drop_table("generation", schema="core")


def _create_generation() -> None:
    op.create_table(
        "generation",
        sa.Column("generation", sa.BigInteger(), sa.Identity(), nullable=False, comment=NUMBER),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False, comment="Key of the dataset"),
        sa.Column(
            "is_current",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True for the one generation of the dataset that readers see",
        ),
        sa.Column(
            "replaced_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When another generation took its place; null while it is current, or never was",
        ),
        sa.Column(
            "seen_by",
            sa.ARRAY(sa.Text()),
            nullable=True,
            comment="Transactions that were running when it was replaced: they may still read it",
        ),
        sa.PrimaryKeyConstraint("generation", name=op.f("pk_generation")),
        schema="core",
        comment="One state of a dataset, made by one load; its samples and effects lie in partitions of their own",
    )
    op.create_index(op.f("ix_generation_dataset_id"), "generation", ["dataset_id"], schema="core")
    op.create_index(
        "uq_generation_current",
        "generation",
        ["dataset_id"],
        unique=True,
        schema="core",
        postgresql_where=sa.text("is_current"),
    )
    _guard("core", "generation")


def _numbers() -> dict[int, int]:
    """Give each dataset that has partitions its first generation."""
    keys = sorted({int(key) for table in KEYS for _, key in _partitions(f"core.{table}")})
    insert = sa.text("INSERT INTO core.generation (dataset_id, is_current) VALUES (:key, true) RETURNING generation")
    return {key: op.get_bind().execute(insert, {"key": key}).scalar_one() for key in keys}


def _current() -> list[tuple[int, int]]:
    rows = op.get_bind().execute(sa.text("SELECT dataset_id, generation FROM core.generation WHERE is_current"))
    return [tuple(row) for row in rows]


def _partitions(parent: str) -> list[tuple[str, str]]:
    rows = op.get_bind().execute(sa.text(PARTITIONS), {"parent": parent})
    return [(name, key.strip("'")) for name, key in rows]


def _words(schema: str, table: str) -> str:
    query = sa.text("SELECT obj_description(CAST(:name AS regclass), 'pg_class')")
    return str(op.get_bind().execute(query, {"name": f"{schema}.{table}"}).scalar_one()).replace("'", "''")


def _rule(schema: str, table: str, also: str) -> None:
    """Keys, indexes, targets, grants and policies of a parent."""
    for kind, columns in KEYS[table].items():
        name = {"pk": f"pk_{table}", "uq": f"uq_{table}_{'_'.join(columns)}{'_generation' if also else ''}"}[kind]
        what = {"pk": "PRIMARY KEY", "uq": "UNIQUE"}[kind]
        op.execute(f"ALTER TABLE {schema}.{table} ADD CONSTRAINT {name} {what} ({', '.join(columns)}{also})")
    for column in INDEXES[table]:
        op.execute(f"CREATE INDEX ix_{table}_{column} ON {schema}.{table} ({column})")
    for column in VALUES[table]:
        op.execute(f"ALTER TABLE {schema}.{table} ALTER COLUMN {column} SET STATISTICS 0")
    _guard(schema, table)


def _guard(schema: str, table: str) -> None:
    op.execute(f"GRANT SELECT ON {schema}.{table} TO pbdb_reader, pbdb_public")
    op.execute(f"ALTER TABLE {schema}.{table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY reader ON {schema}.{table} FOR SELECT TO pbdb_reader USING (true)")
    op.execute(f"CREATE POLICY public ON {schema}.{table} FOR SELECT TO pbdb_public USING ({VISIBLE})")


def _drop_constraints(name: str, kinds: str) -> None:
    rows = op.get_bind().execute(sa.text(CONSTRAINTS), {"name": name, "kinds": list(kinds)})
    for constraint in rows.scalars().all():
        op.execute(f"ALTER TABLE {name} DROP CONSTRAINT {constraint}")


def _detach(table: str, name: str, number: int) -> str:
    """Take a partition by dataset out of its parent; return a name that no partition bears."""
    op.execute(f"ALTER TABLE core.{table} DETACH PARTITION {name}")
    op.execute(f"ALTER TABLE {name} RENAME TO {table}_moved_{number}")
    return f"part.{table}_moved_{number}"


def _move(table: str, name: str, key: int, number: int) -> None:
    """Make a detached partition by dataset one by generation."""
    _drop_constraints(name, "fpu")
    op.execute(f"ALTER TABLE {name} ADD COLUMN generation bigint NOT NULL DEFAULT {number}")
    for kind, columns in KEYS[table].items():
        what = {"pk": "PRIMARY KEY", "uq": "UNIQUE"}[kind]
        op.execute(f"ALTER TABLE {name} ADD {what} ({', '.join(columns)}, generation)")
    op.execute(f"ALTER TABLE {name} RENAME TO {table}_{number}")
    moved = f"part.{table}_{number}"
    op.execute(f"COMMENT ON TABLE {moved} IS '{table} of generation {number}'")
    op.execute(
        f"ALTER TABLE {moved} ADD CONSTRAINT partition_bound CHECK (dataset_id = {key} AND generation = {number})"
    )
    op.execute(
        f"ALTER TABLE part.{table} ATTACH PARTITION {moved} FOR VALUES FROM ({key}, {number}) TO ({key}, {number + 1})"
    )
    op.execute(f"ALTER TABLE {moved} DROP CONSTRAINT partition_bound")


def _move_back(table: str, name: str, key: int) -> None:
    op.execute(f"ALTER TABLE part.{table} DETACH PARTITION {name}")
    _drop_constraints(name, "pu")
    op.execute(f"ALTER TABLE {name} DROP COLUMN generation")
    for kind, columns in KEYS[table].items():
        what = {"pk": "PRIMARY KEY", "uq": "UNIQUE"}[kind]
        op.execute(f"ALTER TABLE {name} ADD {what} ({', '.join(columns)})")
    # Not the name of a generation, which the next upgrade may give to another data set.
    op.execute(f"ALTER TABLE {name} RENAME TO {table}_of_{key}")
    op.execute(f"COMMENT ON TABLE part.{table}_of_{key} IS '{table} of data set {key}'")
    op.execute(f"ALTER TABLE core.{table} ATTACH PARTITION part.{table}_of_{key} FOR VALUES IN ({key})")
