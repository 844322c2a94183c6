"""Tables of what was measured: datasets, assays, plates, samples and conditions."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.database.models.base import CONTENT_KEY, DOSE_UM, EMPTY_LIST, FALSE, Attributes, Base, DoseFm, Stratum, TimeH
from pbdb.database.models.identity import one_of

READOUTS = ("counts", "log2_intensity")
ACCESS = ("open", "token", "gated", "on_request")


class Assay(Base):
    """Technology and readout."""

    __tablename__ = "assay"
    __table_args__ = (
        UniqueConstraint("technology", "readout"),
        one_of("readout", READOUTS),
        {"comment": "Technology and readout of a dataset"},
    )
    assay_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of an assay: {CONTENT_KEY}"
    )
    technology: Mapped[str] = mapped_column(comment="Technology of measurement, such as DRUG-seq")
    readout: Mapped[str] = mapped_column(comment="counts, or log2_intensity")


class Dataset(Base):
    """One harmonised data set with its terms of use."""

    __tablename__ = "dataset"
    __table_args__ = (
        one_of("access", ACCESS),
        Index(None, "assay_id"),
        {"comment": "One harmonised data set, with its origin and terms of use"},
    )
    dataset_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, comment="Key of the dataset")
    dataset: Mapped[str] = mapped_column(unique=True, comment="Short name of the dataset")
    source: Mapped[str] = mapped_column(comment="Source that fills the dataset: a file of etl/")
    title: Mapped[str] = mapped_column(comment="Title of the data set")
    release: Mapped[str] = mapped_column(comment="Release as its provider names it")
    assay_id: Mapped[int] = mapped_column(ForeignKey("core.assay.assay_id"), comment=f"Key of an assay: {CONTENT_KEY}")
    license: Mapped[str] = mapped_column(comment="License of the data, in the words of the provider or as SPDX id")
    citation: Mapped[str] = mapped_column(comment="How to cite the data")
    doi: Mapped[str | None] = mapped_column(comment="DOI of the data or of their publication")
    homepage: Mapped[str | None] = mapped_column(comment="Address where the provider describes the data")
    access: Mapped[str] = mapped_column(comment="open, token, gated or on_request: how the files are obtained")
    is_redistributable: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True where the terms allow passing the data on"
    )
    is_non_commercial: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True where the terms forbid commercial use"
    )
    is_simulated: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True where the files loaded were written by a simulator"
    )
    overlap_group: Mapped[str | None] = mapped_column(
        comment="Datasets of one group share wells: they are never matched with each other or counted twice"
    )
    is_primary: Mapped[bool] = mapped_column(
        server_default="true", comment="True for the one dataset of an overlap group that counts in totals"
    )
    fingerprint: Mapped[str | None] = mapped_column(comment="Fingerprint of inputs, declaration and code of the load")
    effects_fingerprint: Mapped[str | None] = mapped_column(
        comment="Fingerprint of the default fits on display; null where effects are not loaded"
    )
    matches_fingerprint: Mapped[str | None] = mapped_column(
        comment="Fingerprint of the load whose conditions were matched; null where none was"
    )


class Plate(Base):
    """A physical or logical plate: a covariate of the model."""

    __tablename__ = "plate"
    __table_args__ = (
        UniqueConstraint("dataset_id", "plate"),
        {"comment": "A physical or logical plate of a dataset: a covariate of its fits"},
    )
    plate_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a plate: {CONTENT_KEY}"
    )
    dataset_id: Mapped[int] = mapped_column(ForeignKey("core.dataset.dataset_id"), comment="Key of the dataset")
    plate: Mapped[str] = mapped_column(comment="Name of the plate, as the source writes it")


class Condition(Base):
    """Dataset x compound x context x dose x time (x stratum)."""

    __tablename__ = "condition"
    __table_args__ = (
        UniqueConstraint(
            "dataset_id",
            "source_compound_id",
            "context_id",
            "dose_fm",
            "time_h",
            "stratum",
            name="uq_condition_key",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("dose_fm >= 0", name="dose_fm"),
        CheckConstraint("time_h >= 0", name="time_h"),
        CheckConstraint("NOT is_vehicle OR dose_fm = 0", name="vehicle_dose"),
        Index(None, "source_compound_id"),
        # The first column serves the foreign key; coverage is counted from the index alone.
        Index(
            "ix_condition_coverage",
            "context_id",
            "dataset_id",
            "source_compound_id",
            "is_vehicle",
            postgresql_include=["n_samples", "dose_um", "time_h"],
        ),
        {"comment": "One experimental condition: dataset, compound, context, dose and time (and stratum)"},
    )
    condition_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a condition: {CONTENT_KEY}"
    )
    dataset_id: Mapped[int] = mapped_column(ForeignKey("core.dataset.dataset_id"), comment="Key of the dataset")
    source_compound_id: Mapped[int] = mapped_column(
        ForeignKey("core.source_compound.source_compound_id"),
        comment="Key of the compound as its dataset wrote it",
    )
    context_id: Mapped[int] = mapped_column(
        ForeignKey("core.context.context_id"), comment=f"Key of a context: {CONTENT_KEY}"
    )
    dose_fm: Mapped[DoseFm]
    dose_um: Mapped[float | None] = mapped_column(
        Computed(DOSE_UM, persisted=True), comment="Dose in micromolar, computed from dose_fm"
    )
    time_h: Mapped[TimeH]
    stratum: Mapped[Stratum]
    is_vehicle: Mapped[bool] = mapped_column(comment="True for vehicle: wells that got the solvent alone")
    n_samples: Mapped[int] = mapped_column(comment="Samples of the condition, whether they are in a fit or not")
    attributes: Mapped[Attributes]


class Sample(Base):
    """One measured (or pseudobulk) profile."""

    __tablename__ = "sample"
    __table_args__ = (
        PrimaryKeyConstraint("dataset_id", "sample_id"),
        UniqueConstraint("dataset_id", "source_sample"),
        CheckConstraint("n_counts >= 0", name="n_counts"),
        CheckConstraint("n_cells >= 0", name="n_cells"),
        Index(None, "sample_id"),
        Index(None, "condition_id"),
        Index(None, "source_compound_id"),
        Index(None, "context_id"),
        Index(None, "plate_id"),
        {"comment": "One measured (or pseudobulk) profile: one well"},
    )
    sample_id: Mapped[int] = mapped_column(
        autoincrement=False, comment=f"Key of a sample: {CONTENT_KEY}; an effect of pooled samples has none"
    )
    dataset_id: Mapped[int] = mapped_column(
        ForeignKey("core.dataset.dataset_id"), autoincrement=False, comment="Key of the dataset"
    )
    source_sample: Mapped[str] = mapped_column(comment="The source's own key of the sample")
    plate_id: Mapped[int] = mapped_column(ForeignKey("core.plate.plate_id"), comment=f"Key of a plate: {CONTENT_KEY}")
    well: Mapped[str | None] = mapped_column(comment="Well on the plate")
    condition_id: Mapped[int | None] = mapped_column(
        ForeignKey("core.condition.condition_id"),
        comment=f"Key of a condition: {CONTENT_KEY}",
    )
    source_compound_id: Mapped[int | None] = mapped_column(
        ForeignKey("core.source_compound.source_compound_id"),
        comment="Key of the compound as its dataset wrote it",
    )
    context_id: Mapped[int] = mapped_column(
        ForeignKey("core.context.context_id"), comment=f"Key of a context: {CONTENT_KEY}"
    )
    dose_fm: Mapped[DoseFm]
    dose_um: Mapped[float | None] = mapped_column(
        Computed(DOSE_UM, persisted=True), comment="Dose in micromolar, computed from dose_fm"
    )
    time_h: Mapped[float | None] = mapped_column(comment="Hours of exposure before harvest")
    stratum: Mapped[Stratum]
    is_vehicle: Mapped[bool] = mapped_column(comment="True for vehicle: wells that got the solvent alone")
    n_cells: Mapped[int | None] = mapped_column(comment="Cells pooled into the profile; null where not known")
    n_counts: Mapped[int | None] = mapped_column(
        comment="Total counts of the profile as published; null for intensities"
    )
    in_fit: Mapped[bool] = mapped_column(comment="True where the sample is part of the dataset's default fit")
    flags: Mapped[list[str]] = mapped_column(
        server_default=EMPTY_LIST, comment="Why the sample is not in a fit: one code a reason"
    )
    attributes: Mapped[Attributes]
