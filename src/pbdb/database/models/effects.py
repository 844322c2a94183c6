"""Tables of results: fits, and effects as arrays in two orientations."""

from __future__ import annotations

import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, PrimaryKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, DOUBLE_PRECISION, INTEGER, REAL
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.database.models.base import (
    CONTENT_KEY,
    FALSE,
    NOW,
    Base,
    CodeVersion,
    GeneKey,
    Landmarks,
    Log2Fc,
    Method,
    Mode,
    NegLog10P,
    NegLog10PAdj,
    NegLog10PAdjLimma,
    NegLog10PLimma,
    Parameters,
    StandardError,
    Stratum,
)
from pbdb.database.models.identity import one_of

METHODS = ("voom", "trend", "deseq2")
MODES = ("pooled", "replicate")
P_VALUES = ("counts", "limma", "deseq2")
STATUSES = (
    "ok",
    "no_vehicle",
    "confounded_with_plate",
    "no_sample",
    "no_residual_df",
    "no_dose",
    "not_fitted",
    "no_gene",
)
ROLES = ("treated", "vehicle")


class FeatureSet(Base):
    """The ordered genes of a fit, shared by all fits that test the same genes."""

    __tablename__ = "feature_set"
    __table_args__ = ({"comment": "The ordered genes of a fit; fits that test the same genes share one"},)
    feature_set_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a feature set: {CONTENT_KEY}"
    )
    n_genes: Mapped[int] = mapped_column(Integer, comment="Number of genes")
    gene_keys: Mapped[list[int]] = mapped_column(ARRAY(INTEGER), comment="Integer keys of the genes, in array order")


class FeatureSetGenes(Base):
    """What the genes of a feature set are called, in its order: PostgreSQL itself copies it from `gene`."""

    __tablename__ = "feature_set_genes"
    __table_args__ = (
        CheckConstraint("array_position(gene_ids, NULL) IS NULL", name="genes_are_there"),
        {"comment": "Names of the genes of a feature set, kept as they are in gene, so that views look none up"},
    )
    feature_set_id: Mapped[int] = mapped_column(
        ForeignKey("core.feature_set.feature_set_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment=f"Key of a feature set: {CONTENT_KEY}",
    )
    gene_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Ensembl ids, in the order of gene_keys")
    gene_symbols: Mapped[list[str | None]] = mapped_column(ARRAY(Text), comment="Symbols, in the order of gene_keys")


class Fit(Base):
    """One linear model over all samples of a dataset x context (x stratum)."""

    __tablename__ = "fit"
    __table_args__ = (
        one_of("method", METHODS),
        one_of("mode", MODES),
        one_of("p_values", P_VALUES),
        Index(
            "uq_fit_default",
            "dataset_id",
            "context_id",
            "stratum",
            unique=True,
            postgresql_where="is_default",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("NOT is_default OR mode = 'pooled'", name="default_is_pooled"),
        Index(None, "context_id"),
        Index(None, "feature_set_id"),
        {"comment": "One model over all samples of a dataset in one context (and stratum)"},
    )
    fit_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, comment=f"Key of a fit: {CONTENT_KEY}")
    dataset_id: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id"), index=True, comment="Key of the dataset"
    )
    context_id: Mapped[int] = mapped_column(
        ForeignKey("core.context.context_id"), comment=f"Key of a context: {CONTENT_KEY}"
    )
    stratum: Mapped[Stratum]
    method: Mapped[Method]
    mode: Mapped[Mode]
    p_values: Mapped[str] = mapped_column(
        server_default="limma",
        comment="Which test p values are of: counts (negative binomial, holds for single wells), limma or deseq2",
    )
    is_default: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True for the one fit of its context that the default views show"
    )
    is_stale: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True where a gene of the fit was retired, merged or dropped since"
    )
    feature_set_id: Mapped[int] = mapped_column(
        ForeignKey("core.feature_set.feature_set_id"), comment=f"Key of a feature set: {CONTENT_KEY}"
    )
    n_samples: Mapped[int] = mapped_column(Integer, comment="Samples in the fit, vehicle included")
    n_vehicle: Mapped[int] = mapped_column(Integer, comment="Vehicle samples of the fit or effect")
    n_plates: Mapped[int] = mapped_column(Integer, comment="Plates of the fit, or of the treated samples of an effect")
    n_components: Mapped[int] = mapped_column(
        Integer, comment="Connected components of the graph of conditions and plates"
    )
    filter_rule: Mapped[str] = mapped_column(comment="Expression filter: floor, limma or none")
    n_genes_in: Mapped[int] = mapped_column(Integer, comment="Genes before the expression filter")
    cpm_cutoff: Mapped[float | None] = mapped_column(
        comment="Counts per million a gene must reach; null without filter"
    )
    min_samples: Mapped[float | None] = mapped_column(comment="Samples in which a gene must reach cpm_cutoff")
    span: Mapped[float | None] = mapped_column(comment="Span of the voom trend; null for other methods")
    df_residual: Mapped[float | None] = mapped_column(comment="Residual degrees of freedom of a complete gene")
    df_prior: Mapped[float | None] = mapped_column(
        comment="Prior degrees of freedom, median over genes; infinity where the variances do not differ"
    )
    effect_ids: Mapped[list[int]] = mapped_column(
        ARRAY(BIGINT), comment="Effects with status ok, in the order of gene_effect's arrays"
    )
    condition_ids: Mapped[list[int]] = mapped_column(
        ARRAY(BIGINT), comment="Conditions of the effects, in the order of effect_ids"
    )
    ave_expr: Mapped[list[float] | None] = mapped_column(
        ARRAY(REAL), comment="Mean log2 expression of each gene over the samples of the fit"
    )
    sigma: Mapped[list[float] | None] = mapped_column(ARRAY(REAL), comment="Residual standard deviation of each gene")
    s2_post: Mapped[list[float] | None] = mapped_column(ARRAY(REAL), comment="Moderated residual variance of each gene")
    df_total: Mapped[list[float] | None] = mapped_column(
        ARRAY(REAL), comment="Degrees of freedom of the moderated t of each gene"
    )
    neg_log10_p_cutoff: Mapped[float | None] = mapped_column(
        comment="-log10 p from which an effect is below 5 % false discoveries over the whole fit"
    )
    dispersion: Mapped[list[float] | None] = mapped_column(
        ARRAY(REAL), comment="Moderated negative binomial dispersion of each gene; null unless p values are of counts"
    )
    n_null_wells: Mapped[int | None] = mapped_column(
        Integer, comment="Vehicle wells tested against the others of their vehicle, to see whether p values hold"
    )
    null_any_share: Mapped[float | None] = mapped_column(
        comment="Share of those wells with any gene below p_adj 0.05; 0.05 is expected where p values hold"
    )
    null_any_share_low: Mapped[float | None] = mapped_column(
        comment="Lower end of the exact 95 % interval of null_any_share"
    )
    null_any_share_high: Mapped[float | None] = mapped_column(
        comment="Upper end of the exact 95 % interval of null_any_share"
    )
    null_tail_ratio: Mapped[float | None] = mapped_column(
        comment="Tests of those wells with p below 0.001, over the number expected; near 1 where p values hold"
    )
    parameters: Mapped[Parameters]
    report: Mapped[Parameters] = mapped_column(comment="What the fit did: counts, priors, seconds per step")
    code_version: Mapped[CodeVersion]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the row was written")


class FitConditions(Base):
    """What the conditions of a fit's effects are, in their order: PostgreSQL itself copies it from `condition`."""

    __tablename__ = "fit_conditions"
    __table_args__ = (
        CheckConstraint("array_position(source_compound_ids, NULL) IS NULL", name="conditions_are_there"),
        {"comment": "Compounds, doses and times of a fit's effects, kept as they are in condition, beside its arrays"},
    )
    fit_id: Mapped[int] = mapped_column(
        ForeignKey("core.fit.fit_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment=f"Key of a fit: {CONTENT_KEY}",
    )
    source_compound_ids: Mapped[list[int]] = mapped_column(
        ARRAY(BIGINT), comment="Compounds as their dataset wrote them, in the order of condition_ids"
    )
    doses_um: Mapped[list[float | None]] = mapped_column(
        ARRAY(DOUBLE_PRECISION), comment="Doses in micromolar, in the order of condition_ids"
    )
    times_h: Mapped[list[float | None]] = mapped_column(
        ARRAY(DOUBLE_PRECISION), comment="Times in hours, in the order of condition_ids"
    )


class FitSample(Base):
    """The samples of a fit."""

    __tablename__ = "fit_sample"
    __table_args__ = (
        one_of("role", ROLES),
        Index(None, "sample_id"),
        {"comment": "The samples of a fit and the part each plays"},
    )
    fit_id: Mapped[int] = mapped_column(
        ForeignKey("core.fit.fit_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment=f"Key of a fit: {CONTENT_KEY}",
    )
    sample_id: Mapped[int] = mapped_column(
        primary_key=True,
        autoincrement=False,
        comment=f"Key of a sample: {CONTENT_KEY}; an effect of pooled samples has none",
    )
    role: Mapped[str] = mapped_column(comment="treated or vehicle")


class Effect(Base):
    """The differential expression of one condition (or one well) in one fit: arrays over the fit's genes."""

    __tablename__ = "effect"
    __table_args__ = (
        PrimaryKeyConstraint("dataset_id", "effect_id"),
        one_of("status", STATUSES),
        Index(None, "effect_id"),
        Index(None, "fit_id"),
        Index(None, "condition_id"),
        Index(None, "sample_id"),
        Index("ix_effect_n_changed", text("(n_up + n_down) DESC NULLS LAST"), "effect_id"),
        {"comment": "The effect of one condition (or one well) in one fit: arrays over the fit's genes"},
    )
    dataset_id: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id"), autoincrement=False, comment="Key of the dataset"
    )
    effect_id: Mapped[int] = mapped_column(autoincrement=False, comment=f"Key of an effect: {CONTENT_KEY}")
    fit_id: Mapped[int] = mapped_column(ForeignKey("core.fit.fit_id"), comment=f"Key of a fit: {CONTENT_KEY}")
    condition_id: Mapped[int] = mapped_column(
        ForeignKey("core.condition.condition_id"), comment=f"Key of a condition: {CONTENT_KEY}"
    )
    sample_id: Mapped[int | None] = mapped_column(
        comment=f"Key of a sample: {CONTENT_KEY}; an effect of pooled samples has none"
    )
    status: Mapped[str] = mapped_column(comment="ok, or the reason why the effect could not be estimated")
    n_treated: Mapped[int] = mapped_column(Integer, comment="Treated samples of the effect in the fit")
    n_vehicle: Mapped[int] = mapped_column(Integer, comment="Vehicle samples of the fit or effect")
    n_plates: Mapped[int] = mapped_column(Integer, comment="Plates of the fit, or of the treated samples of an effect")
    n_vehicle_same_plates: Mapped[int] = mapped_column(
        Integer, comment="Vehicle samples on the plates of the treated samples"
    )
    n_genes: Mapped[int | None] = mapped_column(Integer, comment="Number of genes")
    prior_var: Mapped[float | None] = mapped_column(comment="Prior variance of the log-odds statistic B")
    n_up: Mapped[int | None] = mapped_column(Integer, comment="Genes up with p_adj < 0.05 within the effect")
    n_down: Mapped[int | None] = mapped_column(Integer, comment="Genes down with p_adj < 0.05 within the effect")
    n_up_fit: Mapped[int | None] = mapped_column(Integer, comment="Genes up at 5 % false discoveries over the fit")
    n_down_fit: Mapped[int | None] = mapped_column(Integer, comment="Genes down at 5 % false discoveries over the fit")
    n_landmarks: Mapped[int | None] = mapped_column(Integer, comment="Landmark genes among the tested genes")
    null_spread: Mapped[float | None] = mapped_column(
        REAL,
        comment="Median |z| of the genes over that of noise: far above 1, much responds or the wells are odd;"
        " null unless p values are of counts",
    )
    log2_fc: Mapped[Log2Fc]
    se: Mapped[StandardError]
    neg_log10_p: Mapped[NegLog10P]
    neg_log10_p_adj: Mapped[NegLog10PAdj]
    neg_log10_p_limma: Mapped[NegLog10PLimma]
    neg_log10_p_adj_limma: Mapped[NegLog10PAdjLimma]
    landmark_t: Mapped[list[float] | None] = mapped_column(
        Landmarks,
        comment="Moderated t of the 978 landmarks in landmark_index order, clipped to +-50, 0 where untested",
    )


class GeneEffect(Base):
    """The transpose of the effects of a fit: one gene over all effects."""

    __tablename__ = "gene_effect"
    __table_args__ = (
        PrimaryKeyConstraint("dataset_id", "gene_key", "fit_id"),
        Index(None, "gene_key"),
        Index(None, "fit_id"),
        {"comment": "The transpose of effect: one gene of a fit over the fit's effect_ids"},
    )
    dataset_id: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id"), autoincrement=False, comment="Key of the dataset"
    )
    gene_key: Mapped[GeneKey] = mapped_column(ForeignKey("core.gene.gene_key"), autoincrement=False)
    fit_id: Mapped[int] = mapped_column(
        ForeignKey("core.fit.fit_id"), autoincrement=False, comment=f"Key of a fit: {CONTENT_KEY}"
    )
    log2_fc: Mapped[Log2Fc]
    se: Mapped[StandardError]
    neg_log10_p_adj: Mapped[NegLog10PAdj]
    neg_log10_p: Mapped[NegLog10P]
