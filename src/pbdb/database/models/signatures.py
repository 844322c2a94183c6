"""Signatures: what search reads. Exact vectors, a shorter one of each that the index holds, and the axes between."""

from __future__ import annotations

import datetime
from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import ARRAY, BigInteger, ForeignKey, Identity, Index, Integer, PrimaryKeyConstraint
from sqlalchemy.dialects.postgresql import REAL
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.database.effect_arrays import N_LANDMARKS
from pbdb.database.models.base import CONTENT_KEY, NOW, Base, CodeVersion, Landmarks
from pbdb.database.models.generations import NUMBER

N_AXES = 192
PROJECTION = "Number of a projection, with which an index is made; null where no index holds the signatures yet"


class Signature(Base):
    """The signature of an effect of a default fit: a copy, outside the partitions, of all data sets in one table."""

    __tablename__ = "signature"
    __table_args__ = (
        Index(None, "fit_id"),
        {"comment": "The signature of a pooled effect of a default fit, as search compares it; all data sets together"},
    )
    effect_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of an effect: {CONTENT_KEY}"
    )
    dataset_id: Mapped[int] = mapped_column(comment="Key of the dataset")
    fit_id: Mapped[int] = mapped_column(
        ForeignKey("core.fit.fit_id", ondelete="CASCADE"), comment=f"Key of a fit: {CONTENT_KEY}"
    )
    condition_id: Mapped[int] = mapped_column(comment=f"Key of a condition: {CONTENT_KEY}")
    n_landmarks: Mapped[int | None] = mapped_column(Integer, comment="Landmark genes among the tested genes")
    landmark_t: Mapped[list[float]] = mapped_column(
        Landmarks,
        comment="Moderated t of the 978 landmarks in landmark_index order, clipped to +-50, 0 where untested",
    )


class SignatureFit(Base):
    """How many signatures a fit has, and whether the index holds them."""

    __tablename__ = "signature_fit"
    __table_args__ = (
        Index(None, "dataset_id"),
        {"comment": "The signatures of a fit: how many, and of which projection the index holds them"},
    )
    fit_id: Mapped[int] = mapped_column(
        ForeignKey("core.fit.fit_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment=f"Key of a fit: {CONTENT_KEY}",
    )
    dataset_id: Mapped[int] = mapped_column(comment="Key of the dataset")
    generation: Mapped[int] = mapped_column(BigInteger, comment=NUMBER)
    n_signatures: Mapped[int] = mapped_column(Integer, comment="Number of signatures")
    projection_id: Mapped[int | None] = mapped_column(comment=PROJECTION)


class SignatureProjection(Base):
    """Principal axes of signatures: the index compares the coordinates on them."""

    __tablename__ = "signature_projection"
    __table_args__ = (
        {"comment": "Principal axes of signatures, computed once for an index: it compares coordinates on them"},
    )
    projection_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, comment=PROJECTION)
    axes: Mapped[list[Any]] = mapped_column(
        ARRAY(HALFVEC(N_LANDMARKS)),
        comment="Unit vectors over the 978 landmarks, in order of the variance of signatures of length 1 along them",
    )
    datasets: Mapped[list[str]] = mapped_column(
        comment="Data sets whose effects went in: the row is shown to those only who may see all of them"
    )
    n_signatures: Mapped[int] = mapped_column(Integer, comment="Number of signatures")
    share_explained: Mapped[float] = mapped_column(
        REAL, comment="Share of the squared length of the signatures that lies along the axes, 0 to 1"
    )
    code_version: Mapped[CodeVersion]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When the row was written")


class ProjectedSignature(Base):
    """A signature as the index holds it: of candidates only, whose exact signatures are compared then.

    Rows of effects that were replaced stay until the index is brought up to date; signature_fit tells them from others.
    """

    __tablename__ = "projected_signature"
    __table_args__ = (
        PrimaryKeyConstraint("projection_id", "effect_id"),
        Index(None, "fit_id"),
        {"comment": "A signature of length 1 on the axes of a projection: finds candidates for exact comparison"},
    )
    projection_id: Mapped[int] = mapped_column(autoincrement=False, comment=PROJECTION)
    effect_id: Mapped[int] = mapped_column(autoincrement=False, comment=f"Key of an effect: {CONTENT_KEY}")
    dataset_id: Mapped[int] = mapped_column(comment="Key of the dataset")
    fit_id: Mapped[int] = mapped_column(comment=f"Key of a fit: {CONTENT_KEY}")
    coordinates: Mapped[list[float]] = mapped_column(HALFVEC(N_AXES), comment="Coordinates on the axes")
