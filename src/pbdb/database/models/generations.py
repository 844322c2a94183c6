"""Generations: what a load makes of a dataset, beside what earlier ones made; one of them is current.

The rows of sample, effect and gene_effect lie in partitions, one for each generation, of the tables described here.
`core.sample` and so on are views of them (sql/) that show current generations only.
"""

from __future__ import annotations

import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Identity,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.database.models.base import FALSE, NAMING, PARTITIONS, Base
from pbdb.database.models.effects import Effect, GeneEffect
from pbdb.database.models.samples import Sample

NUMBER = "Number of the generation: what one load made of a dataset"


class Generation(Base):
    """One state of a dataset: the partitions that one load filled."""

    __tablename__ = "generation"
    __table_args__ = (
        Index("uq_generation_current", "dataset_id", unique=True, postgresql_where="is_current"),
        Index(None, "dataset_id"),
        {"comment": "One state of a dataset, made by one load; its samples and effects lie in partitions of their own"},
    )
    generation: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, comment=NUMBER)
    dataset_id: Mapped[int] = mapped_column(comment="Key of the dataset")
    is_current: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True for the one generation of the dataset that readers see"
    )
    replaced_at: Mapped[datetime.datetime | None] = mapped_column(
        comment="When another generation took its place; null while it is current, or never was"
    )
    seen_by: Mapped[list[str] | None] = mapped_column(
        comment="Transactions that were running when it was replaced: they may still read it"
    )


STORED = MetaData(schema=PARTITIONS, naming_convention=NAMING)


def _stored(shown: Table) -> Table:
    """The table whose partitions keep the rows of all generations: its keys end with the generation.

    It has no foreign key: dropping a partition would lock the tables these point at.
    """
    keys = [
        type(constraint)(*(column.name for column in constraint.columns), "generation")
        for constraint in shown.constraints
        if isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint))
    ]
    checks = [
        CheckConstraint(constraint.sqltext, name=str(constraint.name).removeprefix(f"ck_{shown.name}_"))
        for constraint in shown.constraints
        if isinstance(constraint, CheckConstraint)
    ]
    return Table(
        shown.name,
        STORED,
        *map(_copied, shown.columns),
        Column("generation", BigInteger, nullable=False, autoincrement=False, comment=NUMBER),
        *keys,
        *checks,
        *map(_copied_index, shown.indexes),
        comment=shown.comment,
        postgresql_partition_by="RANGE (dataset_id, generation)",
    )


def _copied(column: Column[object]) -> Column[object]:
    computed = column.computed
    assert computed is None or isinstance(computed, Computed)
    return Column(
        column.name,
        column.type,
        *([Computed(str(computed.sqltext), persisted=True)] if computed is not None else []),
        nullable=column.nullable,
        autoincrement=False,
        server_default=None if computed is not None else column.server_default,
        comment=column.comment,
    )


def _copied_index(index: Index) -> Index:
    """The same index of the other table; one that names expressions has a name of its own."""
    parts = [part.name if isinstance(part, Column) else part for part in index.expressions]
    return Index(None if all(isinstance(part, str) for part in parts) else index.name, *parts)


for _shown in (Sample, Effect, GeneEffect):
    _stored(_shown.metadata.tables[f"{_shown.metadata.schema}.{_shown.__tablename__}"])
