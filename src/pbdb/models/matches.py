"""Tables of matched conditions, their agreement, and splits for training."""

from __future__ import annotations

import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.models.base import CONTENT_KEY, NOW, Attributes, Base, CodeVersion, Parameters
from pbdb.models.identity import one_of

LEVELS = ("inchikey", "parent_inchikey", "skeleton", "pubchem_cid")
SPLIT_KINDS = ("compound", "scaffold", "context", "dataset", "published")


class Match(Base):
    """Two conditions of different datasets: same compound, context and time, mutual-nearest dose."""

    __tablename__ = "match"
    __table_args__ = (
        UniqueConstraint("inchikey_level", "time_tolerance_h", "condition_id_a", "condition_id_b"),
        one_of("inchikey_level", LEVELS),
        CheckConstraint("dose_fold >= 1", name="dose_fold"),
        Index(None, "condition_id_a"),
        Index(None, "condition_id_b"),
        Index(None, "dataset_id_a", "dataset_id_b"),
        Index(None, "dataset_id_b"),
        Index(None, "effect_id_a"),
        Index(None, "effect_id_b"),
        {"comment": "Two conditions of different datasets: same compound, context and time, mutual-nearest dose"},
    )
    match_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a match: {CONTENT_KEY}"
    )
    dataset_id_a: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id"), comment="Dataset of the first condition"
    )
    dataset_id_b: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id"), comment="Dataset of the second condition"
    )
    condition_id_a: Mapped[int] = mapped_column(
        ForeignKey("core.condition.condition_id", ondelete="CASCADE"), comment="First condition"
    )
    condition_id_b: Mapped[int] = mapped_column(
        ForeignKey("core.condition.condition_id", ondelete="CASCADE"), comment="Second condition"
    )
    effect_id_a: Mapped[int | None] = mapped_column(comment="Effect of the first condition in its default fit")
    effect_id_b: Mapped[int | None] = mapped_column(comment="Effect of the second condition in its default fit")
    inchikey_level: Mapped[str] = mapped_column(
        comment="Level of identity: inchikey, parent_inchikey, skeleton or pubchem_cid"
    )
    compound_key: Mapped[str] = mapped_column(comment="The shared compound at the level of identity")
    time_tolerance_h: Mapped[float] = mapped_column(comment="Hours by which the two times may differ")
    dose_fold: Mapped[float] = mapped_column(comment="Larger dose over smaller dose, at least 1")
    tie_block_size: Mapped[int] = mapped_column(Integer, comment="Pairs tied at the same fold difference in the group")
    n_shared_compounds: Mapped[int] = mapped_column(
        Integer, comment="Distinct compounds matched in the same pair of datasets, context and time"
    )


class Agreement(Base):
    """Statistics of a match, each with its baselines."""

    __tablename__ = "agreement"
    __table_args__ = (
        UniqueConstraint("match_id", "metric", "universe"),
        Index(None, "metric"),
        {"comment": "One statistic of a match, with its baselines"},
    )
    agreement_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of an agreement: {CONTENT_KEY}"
    )
    match_id: Mapped[int] = mapped_column(
        ForeignKey("core.match.match_id", ondelete="CASCADE"), comment=f"Key of a match: {CONTENT_KEY}"
    )
    metric: Mapped[str] = mapped_column(comment="Statistic, such as spearman_all or direction_both")
    universe: Mapped[str] = mapped_column(comment="Genes the statistic holds for")
    n: Mapped[int] = mapped_column(Integer, comment="Genes the statistic was computed on")
    value: Mapped[float | None] = mapped_column(comment="Value of the statistic; null where undefined")
    baselines: Mapped[Attributes] = mapped_column(comment="Value, n and percentile of each baseline, by name")
    parameters: Mapped[Parameters]


class AgreementSummary(Base):
    """Agreement of a pair of datasets with its interval."""

    __tablename__ = "agreement_summary"
    __table_args__ = (
        UniqueConstraint("dataset_id_a", "dataset_id_b", "metric", "universe", "parameters_hash"),
        Index(None, "dataset_id_b"),
        {"comment": "A statistic over all matches of two datasets, with a compound-clustered interval"},
    )
    agreement_summary_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a summary: {CONTENT_KEY}"
    )
    dataset_id_a: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id", ondelete="CASCADE"), comment="Dataset of the first condition"
    )
    dataset_id_b: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id", ondelete="CASCADE"), comment="Dataset of the second condition"
    )
    metric: Mapped[str] = mapped_column(comment="Statistic, such as spearman_all or direction_both")
    universe: Mapped[str] = mapped_column(comment="Genes the statistic holds for")
    n_matches: Mapped[int] = mapped_column(Integer, comment="Matches of the pair of datasets")
    n_defined: Mapped[int] = mapped_column(Integer, comment="Matches on which the statistic is defined")
    n_compounds: Mapped[int] = mapped_column(Integer, comment="Distinct compounds among them")
    mean: Mapped[float | None] = mapped_column(comment="Mean over contexts, times and compounds")
    interval_low: Mapped[float | None] = mapped_column(comment="Lower end of the 95 % interval")
    interval_high: Mapped[float | None] = mapped_column(comment="Upper end of the 95 % interval")
    interval_status: Mapped[str] = mapped_column(comment="bca, percentile, degenerate or not_estimable")
    parameters_hash: Mapped[str] = mapped_column(comment="SHA-256 of the parameters, hexadecimal")
    parameters: Mapped[Parameters]


class Split(Base):
    """A division of conditions into folds for training."""

    __tablename__ = "split"
    __table_args__ = (
        one_of("kind", SPLIT_KINDS),
        {"comment": "A division of the conditions into folds, for training and testing models"},
    )
    split_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a split: {CONTENT_KEY}"
    )
    split: Mapped[str] = mapped_column(unique=True, comment="Name of the split")
    kind: Mapped[str] = mapped_column(comment="What is held out: compound, scaffold, context, dataset or published")
    parameters: Mapped[Parameters]
    code_version: Mapped[CodeVersion]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the row was written")


class SplitMember(Base):
    """The fold of each condition in a split."""

    __tablename__ = "split_member"
    __table_args__ = (
        Index(None, "condition_id"),
        {"comment": "The fold of each condition in a split"},
    )
    split_id: Mapped[int] = mapped_column(
        ForeignKey("core.split.split_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment=f"Key of a split: {CONTENT_KEY}",
    )
    condition_id: Mapped[int] = mapped_column(
        ForeignKey("core.condition.condition_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment=f"Key of a condition: {CONTENT_KEY}",
    )
    fold: Mapped[str] = mapped_column(comment="train, validation, test or another fold of the split")
