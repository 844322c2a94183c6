"""The ledger of loads, and the files they leave behind."""

from __future__ import annotations

import datetime

from sqlalchemy import BigInteger, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.database.models.base import NOW, Base, CodeVersion, Parameters
from pbdb.database.models.identity import one_of
from pbdb.database.stage_names import STAGES

RUN_STATUSES = ("done", "failed")


class EtlRun(Base):
    """One stage of one load."""

    __tablename__ = "etl_run"
    __table_args__ = (
        one_of("stage", STAGES),
        one_of("status", RUN_STATUSES),
        Index(None, "dataset"),
        {"comment": "The ledger: one row for each stage of a load that did work"},
    )
    etl_run_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True, comment="Number of the entry"
    )
    source: Mapped[str] = mapped_column(comment="Source that fills the dataset: a file of etl/")
    dataset: Mapped[str] = mapped_column(comment="Short name of the dataset")
    release: Mapped[str] = mapped_column(comment="Release as its provider names it")
    stage: Mapped[str] = mapped_column(comment=f"{', '.join(STAGES[:-1])} or {STAGES[-1]}")
    status: Mapped[str] = mapped_column(comment="done or failed")
    fingerprint: Mapped[str] = mapped_column(comment="Fingerprint of inputs, declaration and code of the load")
    inputs: Mapped[Parameters] = mapped_column(
        comment="Files read: name, bytes, SHA-256, and against what the hash was checked"
    )
    rows_in: Mapped[int | None] = mapped_column(comment="Rows that came in")
    rows_out: Mapped[int | None] = mapped_column(comment="Rows that went out")
    dropped: Mapped[Parameters] = mapped_column(comment="Rows left out, counted by reason")
    report: Mapped[Parameters] = mapped_column(comment="What the fit did: counts, priors, seconds per step")
    message: Mapped[str | None] = mapped_column(comment="What went wrong, where the stage failed")
    seconds: Mapped[float] = mapped_column(comment="Time the stage took")
    peak_mb: Mapped[float] = mapped_column(comment="Peak memory of the process, MiB")
    code_version: Mapped[CodeVersion]
    finished_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the stage ended")


class Artifact(Base):
    """A file a stage left behind."""

    __tablename__ = "artifact"
    __table_args__ = (
        Index(None, "dataset"),
        {"comment": "Files that stages leave behind, such as the canonical sample matrices"},
    )
    artifact_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True, comment="Number of the entry"
    )
    dataset: Mapped[str] = mapped_column(comment="Short name of the dataset")
    kind: Mapped[str] = mapped_column(comment="What the file holds, such as samples_h5ad")
    path: Mapped[str] = mapped_column(unique=True, comment="Path below the folder of pbdb (PBDB_HOME)")
    n_bytes: Mapped[int] = mapped_column(comment="Size in bytes")
    sha256: Mapped[str] = mapped_column(comment="SHA-256 of the file, hexadecimal")
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the row was written")
