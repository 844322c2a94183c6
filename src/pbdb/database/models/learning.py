"""Tables of learning: models, the vectors of their compounds, and what evaluations found."""

from __future__ import annotations

import datetime
from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Integer, PrimaryKeyConstraint
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, REAL
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.common.rows import Json
from pbdb.database.models.base import CONTENT_KEY, FALSE, NOW, Base, CodeVersion, Parameters
from pbdb.database.models.identity import one_of
from pbdb.database.models.matches import INTERVAL_STATUSES

EMBEDDING_KINDS = ("lowrank", "lpm", "foreign")
LEARNT_FROM = "Data sets whose effects went in: the row is shown to those only who may see all of them"


class EmbeddingModel(Base):
    """A model that gives compounds vectors."""

    __tablename__ = "embedding_model"
    __table_args__ = (
        one_of("kind", EMBEDDING_KINDS),
        Index("uq_embedding_model_default", "is_default_model", unique=True, postgresql_where="is_default_model"),
        {"comment": "A model that gives compounds vectors by how they act: what it learned from, and how"},
    )
    model_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of an embedding model: {CONTENT_KEY}"
    )
    model: Mapped[str] = mapped_column(unique=True, comment="Name of an embedding model")
    kind: Mapped[str] = mapped_column(comment="lowrank, lpm, or foreign: made by other software")
    is_default_model: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True for the one model that is asked unless another is named"
    )
    n_dimensions: Mapped[int] = mapped_column(Integer, comment="Length of the model's vectors")
    datasets: Mapped[list[str]] = mapped_column(comment=LEARNT_FROM)
    training_split: Mapped[str | None] = mapped_column(
        comment="Split whose training fold alone the model saw; null where it saw all conditions"
    )
    learnt_from: Mapped[Json] = mapped_column(
        comment="What was read: the database, or a snapshot with release and fingerprint; conditions, genes, compounds"
    )
    cosine_levels: Mapped[list[float]] = mapped_column(
        ARRAY(DOUBLE_PRECISION), comment="Shares of random pairs that cosine_quantiles belong to"
    )
    cosine_quantiles: Mapped[list[float]] = mapped_column(
        ARRAY(DOUBLE_PRECISION),
        comment="Cosines of random pairs at cosine_levels, for five classes of reliability (below 0.3, 0.5, 0.7, 0.9, "
        "and above) one after the other; the lower reliability of a pair is its class",
    )
    parameters: Mapped[Parameters]
    code_version: Mapped[CodeVersion]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the row was written")


class CompoundEmbedding(Base):
    """The vector of a compound in a model."""

    __tablename__ = "compound_embedding"
    __table_args__ = (
        PrimaryKeyConstraint("model_id", "parent_inchikey"),
        Index(None, "parent_inchikey"),
        CheckConstraint("reliability BETWEEN 0 AND 1", name="reliability"),
        {"comment": "The vector of a compound (all salts of a parent are one) in an embedding model"},
    )
    model_id: Mapped[int] = mapped_column(
        ForeignKey("core.embedding_model.model_id", ondelete="CASCADE"),
        autoincrement=False,
        comment=f"Key of an embedding model: {CONTENT_KEY}",
    )
    parent_inchikey: Mapped[str] = mapped_column(
        comment="InChIKey of the salt- and solvent-free parent; null where the structure is not known"
    )
    vec: Mapped[Any] = mapped_column(
        VECTOR(), nullable=False, comment="Vector of the compound: near in direction means acts alike"
    )
    reliability: Mapped[float | None] = mapped_column(
        REAL,
        comment="Share of the variance among compounds that the model's data took away, 0 to 1: a rank, no "
        "probability; null where the model does not say",
    )
    n_training_effects: Mapped[int] = mapped_column(Integer, comment="Effects of the compound the model learned from")
    n_training_datasets: Mapped[int] = mapped_column(Integer, comment="Data sets among those effects")
    n_training_contexts: Mapped[int] = mapped_column(Integer, comment="Contexts among those effects")
    from_structure: Mapped[bool] = mapped_column(
        comment="True where the model saw no effect of the compound and guesses from its structure alone"
    )


class Evaluation(Base):
    """One number of an evaluation of methods on held-out compounds."""

    __tablename__ = "evaluation"
    __table_args__ = (
        PrimaryKeyConstraint("evaluation_id", "evaluated_on", "learner", "statistic", "quantity"),
        one_of("interval_status", INTERVAL_STATUSES),
        {"comment": "One number of an evaluation: a method's statistic on the held-out compounds of a data set"},
    )
    evaluation_id: Mapped[int] = mapped_column(
        autoincrement=False, comment=f"Key of an evaluation: {CONTENT_KEY}", sort_order=-1
    )
    evaluation: Mapped[str] = mapped_column(comment="Name of an evaluation")
    task: Mapped[str] = mapped_column(
        comment="What is held out: transfer (compounds new to their data set), compound, scaffold, op3, or a split"
    )
    evaluated_on: Mapped[str] = mapped_column(comment="Data set of the held-out conditions; all: mean over data sets")
    learner: Mapped[str] = mapped_column(comment="Method that predicted")
    statistic: Mapped[str] = mapped_column(
        comment="skill (1 - squared error / that of the contexts' means), delta_correlation (of differences from the "
        "context's mean), rmse, or a metric of OP3"
    )
    quantity: Mapped[str] = mapped_column(
        comment="score; a baseline or statistic of peers; or delta_ and a baseline: the score less the baseline"
    )
    n_test_conditions: Mapped[int] = mapped_column(Integer, comment="Held-out conditions the number is of")
    n_test_compounds: Mapped[int] = mapped_column(Integer, comment="Distinct compounds among the held-out conditions")
    n_repeats: Mapped[int] = mapped_column(Integer, comment="Splits the number is a mean of")
    estimate: Mapped[float | None] = mapped_column(comment="The number; null where undefined")
    interval_low: Mapped[float | None] = mapped_column(comment="Lower end of the 95 % interval")
    interval_high: Mapped[float | None] = mapped_column(comment="Upper end of the 95 % interval")
    interval_status: Mapped[str] = mapped_column(comment="bca, percentile, degenerate or not_estimable")
    datasets: Mapped[list[str]] = mapped_column(comment=LEARNT_FROM)
    parameters: Mapped[Parameters]
    code_version: Mapped[CodeVersion]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the row was written")
