"""Tables of matched conditions, their agreement, and splits for training."""

from __future__ import annotations

import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.database.choices import LEVELS, SPLIT_KINDS
from pbdb.database.models.base import CONTENT_KEY, NOW, Base, CodeVersion, Parameters
from pbdb.database.models.identity import one_of

INTERVAL_STATUSES = ("bca", "percentile", "degenerate", "not_estimable")
METRIC = "Statistic, such as spearman_log2_fc or direction_both"
PARAMETERS_ID = "First 52 bits of SHA-256 over the parameters of the computation, which agreement_summary shows"


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
    tie_block_size: Mapped[int] = mapped_column(
        Integer, comment="Matches in the block of equally near doses this one belongs to, itself included"
    )
    n_shared_compounds: Mapped[int] = mapped_column(
        Integer,
        comment="Compounds matched within ten-fold dose in the same two datasets, context and times",
    )
    from_window: Mapped[float | None] = mapped_column(
        comment="Narrowest window (fold of dose) in which the match counts: dose_fold, or the window from which on "
        "the two datasets share ten compounds in the context at these times; null where they never do"
    )


class Baselines:
    """Columns of a statistic and its baselines, for the rows of one assay (source) or of both."""

    metric: Mapped[str] = mapped_column(comment=METRIC)
    n: Mapped[int] = mapped_column(Integer, comment="Genes the statistic was computed on")
    score: Mapped[float | None] = mapped_column(comment="Value of the statistic; null where undefined")
    source_centroid: Mapped[float | None] = mapped_column(
        comment="The same against the mean of other compounds of the same dataset, context, dose and time"
    )
    n_source_centroid: Mapped[int] = mapped_column(Integer, comment="Effects averaged in source centroids, both sides")
    source_peer_mean: Mapped[float | None] = mapped_column(
        comment="The same against single other compounds of the same dataset, context, dose and time: mean"
    )
    source_peer_sd: Mapped[float | None] = mapped_column(comment="Standard deviation over source peers (n - 1)")
    source_peer_below: Mapped[float | None] = mapped_column(comment="Fraction of source peers below the score")
    source_peer_percentile: Mapped[float | None] = mapped_column(
        comment="(1 + source peers below the score) / (source peers + 1)"
    )
    source_peer_p: Mapped[float | None] = mapped_column(
        comment="(1 + source peers at or above the score) / (source peers + 1)"
    )
    n_source_peers: Mapped[int] = mapped_column(
        Integer, comment="Source peers on which the statistic is defined, both sides"
    )


class Agreement(Baselines, Base):
    """A statistic of a match with its four baselines."""

    __tablename__ = "agreement"
    __table_args__ = (
        PrimaryKeyConstraint("match_id", "metric"),
        Index(None, "metric"),
        Index(None, "parameters_id"),
        {"comment": "One statistic of a match with its four baselines; of two sides the mean of those defined"},
    )
    match_id: Mapped[int] = mapped_column(
        ForeignKey("core.match.match_id", ondelete="CASCADE"),
        autoincrement=False,
        comment=f"Key of a match: {CONTENT_KEY}",
        sort_order=-1,
    )
    target_centroid: Mapped[float | None] = mapped_column(
        comment="The same against the mean of other compounds at the partner's dataset, context, dose and time"
    )
    n_target_centroid: Mapped[int] = mapped_column(Integer, comment="Effects averaged in target centroids, both sides")
    target_peer_mean: Mapped[float | None] = mapped_column(
        comment="The same against single other compounds at the partner's dataset, context, dose and time: mean"
    )
    target_peer_sd: Mapped[float | None] = mapped_column(comment="Standard deviation over target peers (n - 1)")
    target_peer_below: Mapped[float | None] = mapped_column(comment="Fraction of target peers below the score")
    target_peer_percentile: Mapped[float | None] = mapped_column(
        comment="(1 + target peers below the score) / (target peers + 1)"
    )
    target_peer_p: Mapped[float | None] = mapped_column(
        comment="(1 + target peers at or above the score) / (target peers + 1)"
    )
    n_target_peers: Mapped[int] = mapped_column(
        Integer, comment="Target peers on which the statistic is defined, both sides"
    )
    is_capped: Mapped[bool] = mapped_column(comment="True where peers are a sample of a larger number")
    parameters_id: Mapped[int] = mapped_column(comment=PARAMETERS_ID)


class ReplicateAgreement(Baselines, Base):
    """A statistic between the replicates of one condition, with its baselines."""

    __tablename__ = "replicate_agreement"
    __table_args__ = (
        PrimaryKeyConstraint("condition_id", "metric"),
        Index(None, "dataset_id", "metric"),
        {"comment": "One statistic between replicates of a condition, mean over pairs, with its baselines"},
    )
    condition_id: Mapped[int] = mapped_column(
        ForeignKey("core.condition.condition_id", ondelete="CASCADE"),
        autoincrement=False,
        comment=f"Key of a condition: {CONTENT_KEY}",
        sort_order=-2,
    )
    dataset_id: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id", ondelete="CASCADE"), comment="Key of the dataset", sort_order=-1
    )
    n_pairs: Mapped[int] = mapped_column(Integer, comment="Pairs of replicates compared")
    is_capped: Mapped[bool] = mapped_column(comment="True where peers are a sample of a larger number")
    parameters_id: Mapped[int] = mapped_column(comment=PARAMETERS_ID)


class AgreementSummary(Base):
    """A statistic or baseline over a pair of datasets, or over one dataset's replicates, with its interval."""

    __tablename__ = "agreement_summary"
    __table_args__ = (
        UniqueConstraint("parameters_id", "dataset_id_a", "dataset_id_b", "metric", "quantity"),
        Index(None, "dataset_id_a"),
        Index(None, "dataset_id_b"),
        one_of("interval_status", INTERVAL_STATUSES),
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
    metric: Mapped[str] = mapped_column(comment=METRIC)
    quantity: Mapped[str] = mapped_column(
        comment="score; a baseline or statistic of peers; or delta_ and a baseline: the score less the baseline"
    )
    inchikey_level: Mapped[str] = mapped_column(
        comment="Level of identity: inchikey, parent_inchikey, skeleton or pubchem_cid"
    )
    time_tolerance_h: Mapped[float] = mapped_column(comment="Hours by which the two times may differ")
    dose_window: Mapped[float] = mapped_column(comment="Fold of dose up to which matches count")
    n_matches: Mapped[int] = mapped_column(
        Integer, comment="Matches of the two datasets, or conditions with replicates"
    )
    n_defined: Mapped[int] = mapped_column(Integer, comment="Matches (conditions) on which the quantity is defined")
    n_units: Mapped[int] = mapped_column(
        Integer, comment="Units averaged: distinct compounds in a context at a time among those defined"
    )
    n_compounds: Mapped[int] = mapped_column(Integer, comment="Distinct compounds among them")
    mean: Mapped[float | None] = mapped_column(comment="Mean over contexts, times and compounds")
    interval_low: Mapped[float | None] = mapped_column(comment="Lower end of the 95 % interval")
    interval_high: Mapped[float | None] = mapped_column(comment="Upper end of the 95 % interval")
    interval_status: Mapped[str] = mapped_column(comment="bca, percentile, degenerate or not_estimable")
    parameters_id: Mapped[int] = mapped_column(comment=PARAMETERS_ID)
    parameters: Mapped[Parameters]
    code_version: Mapped[CodeVersion]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the row was written")


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
    kind: Mapped[str] = mapped_column(
        comment="What is held out: compound, scaffold, context, dataset, published or transfer; "
        "attribute: what the source says"
    )
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
