"""The tables, their constraints and their words: the schema and its dictionary."""

from pbdb.models.base import DOSE_UM, FINGERPRINT_BITS, N_LANDMARKS, NAMING, PARTITIONS, SCHEMA, Base
from pbdb.models.effects import METHODS, MODES, STATUSES, Effect, FeatureSet, Fit, FitSample, GeneEffect
from pbdb.models.identity import (
    ANNOTATION_KINDS,
    ROUTES,
    Compound,
    CompoundAnnotation,
    Context,
    Gene,
    GeneReplacement,
    GeneSynonym,
    SourceCompound,
    Vocabulary,
)
from pbdb.models.ledger import STAGES, Artifact, EtlRun
from pbdb.models.matches import LEVELS, Agreement, AgreementSummary, Match, Split, SplitMember
from pbdb.models.samples import ACCESS, READOUTS, Assay, Condition, Dataset, Plate, Sample

__all__ = [
    "ACCESS",
    "ANNOTATION_KINDS",
    "DOSE_UM",
    "FINGERPRINT_BITS",
    "LEVELS",
    "METHODS",
    "MODES",
    "NAMING",
    "N_LANDMARKS",
    "PARTITIONS",
    "READOUTS",
    "ROUTES",
    "SCHEMA",
    "STAGES",
    "STATUSES",
    "Agreement",
    "AgreementSummary",
    "Artifact",
    "Assay",
    "Base",
    "Compound",
    "CompoundAnnotation",
    "Condition",
    "Context",
    "Dataset",
    "Effect",
    "EtlRun",
    "FeatureSet",
    "Fit",
    "FitSample",
    "Gene",
    "GeneEffect",
    "GeneReplacement",
    "GeneSynonym",
    "Match",
    "Plate",
    "Sample",
    "SourceCompound",
    "Split",
    "SplitMember",
    "Vocabulary",
]
