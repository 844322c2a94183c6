"""The tables, their constraints and their words: the schema and its dictionary."""

from pbdb.database.models.base import PARTITIONS, SCHEMA, Base
from pbdb.database.models.effects import Effect, FeatureSet, FeatureSetGenes, Fit, FitConditions, FitSample, GeneEffect
from pbdb.database.models.generations import STORED, Generation
from pbdb.database.models.identity import (
    Compound,
    CompoundAnnotation,
    Context,
    Gene,
    GeneReplacement,
    GeneSynonym,
    ReferenceAnnotation,
    SourceCompound,
    Vocabulary,
)
from pbdb.database.models.learning import CompoundEmbedding, EmbeddingModel, Evaluation
from pbdb.database.models.ledger import Artifact, EtlRun
from pbdb.database.models.matches import (
    Agreement,
    AgreementSummary,
    Match,
    ReplicateAgreement,
    Split,
    SplitMember,
)
from pbdb.database.models.samples import Assay, Condition, Dataset, Plate, Sample
from pbdb.database.models.signatures import (
    N_AXES,
    ProjectedSignature,
    Signature,
    SignatureFit,
    SignatureProjection,
)

__all__ = [
    "N_AXES",
    "PARTITIONS",
    "SCHEMA",
    "STORED",
    "Agreement",
    "AgreementSummary",
    "Artifact",
    "Assay",
    "Base",
    "Compound",
    "CompoundAnnotation",
    "CompoundEmbedding",
    "Condition",
    "Context",
    "Dataset",
    "Effect",
    "EmbeddingModel",
    "EtlRun",
    "Evaluation",
    "FeatureSet",
    "FeatureSetGenes",
    "Fit",
    "FitConditions",
    "FitSample",
    "Gene",
    "GeneEffect",
    "GeneReplacement",
    "GeneSynonym",
    "Generation",
    "Match",
    "Plate",
    "ProjectedSignature",
    "ReferenceAnnotation",
    "ReplicateAgreement",
    "Sample",
    "Signature",
    "SignatureFit",
    "SignatureProjection",
    "SourceCompound",
    "Split",
    "SplitMember",
    "Vocabulary",
]

# Arrays of keys are no foreign keys: who fills tables one after the other begins with what they name all the same.
for _names, _named in (("feature_set", "gene"), ("fit", "condition")):
    Base.metadata.tables[f"{SCHEMA}.{_names}"].add_is_dependent_on(Base.metadata.tables[f"{SCHEMA}.{_named}"])
