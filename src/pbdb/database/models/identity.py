"""Tables of identity: compounds, contexts, genes, and the vocabularies that label them."""

from __future__ import annotations

import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pbdb.database.models.base import (
    CONTENT_KEY,
    FALSE,
    NOW,
    TRUE,
    Attributes,
    Base,
    ContextName,
    Fingerprint,
    GeneKey,
    PubChemCid,
    RuleVersion,
    Smiles,
)

ROUTES = ("structure", "inchikey", "pubchem_cid", "alias", "cas", "name", "reference", "unresolved")
ANNOTATION_KINDS = ("moa", "target", "pathway", "approval", "toxicity_label")
REFERENCE_KINDS = ("name", *ANNOTATION_KINDS)


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """A check that a column holds one of the values; named after the column."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Compound(Base):
    """A standardised structure, one row per InChIKey; the levels of identity stand beside it."""

    __tablename__ = "compound"
    __table_args__ = (
        Index(None, "parent_inchikey"),
        Index(None, "skeleton"),
        Index(None, "pubchem_cid"),
        Index(None, "name"),
        Index(None, "replaced_by"),
        {"comment": "A standardised structure, one row per InChIKey; coarser levels of identity beside it"},
    )
    compound_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a compound: {CONTENT_KEY}"
    )
    # A search reads every fingerprint: what stands before it is short, so that it is found at once.
    pubchem_cid: Mapped[PubChemCid]
    molecular_weight: Mapped[float | None] = mapped_column(comment="Average molecular weight, g/mol")
    replaced_by: Mapped[int | None] = mapped_column(
        ForeignKey("core.compound.compound_id"),
        comment="The compound this one became when the identity rules changed; null while current",
    )
    fingerprint: Mapped[str | None] = mapped_column(
        Fingerprint, comment="Morgan fingerprint of the parent, radius 2, 2048 bits"
    )
    pattern_fingerprint: Mapped[str | None] = mapped_column(
        Fingerprint, comment="Pattern fingerprint of the parent, 2048 bits, to screen for substructures"
    )
    inchikey: Mapped[str] = mapped_column(unique=True, comment="InChIKey of the standardised structure")
    parent_inchikey: Mapped[str | None] = mapped_column(
        comment="InChIKey of the salt- and solvent-free parent; null where the structure is not known"
    )
    skeleton: Mapped[str | None] = mapped_column(
        comment="First block of the parent's InChIKey: connectivity without stereochemistry"
    )
    name: Mapped[str | None] = mapped_column(comment="Preferred name, lower case")
    pubchem_title: Mapped[str | None] = mapped_column(
        comment="Title of the compound in PubChem; null where it was not looked up"
    )
    smiles: Mapped[Smiles]
    parent_smiles: Mapped[str | None] = mapped_column(comment="Salt- and solvent-free parent as SMILES")
    formula: Mapped[str | None] = mapped_column(comment="Molecular formula of the standardised structure")
    rule_version: Mapped[RuleVersion]


class SourceCompound(Base):
    """What one dataset wrote about a compound, and how it was resolved."""

    __tablename__ = "source_compound"
    __table_args__ = (
        UniqueConstraint("dataset_id", "source_key"),
        one_of("resolved_by", ROUTES),
        Index(None, "compound_id"),
        Index(None, "compound_name"),
        Index(None, "name"),
        {"comment": "What one dataset wrote about a compound, and how it was resolved"},
    )
    source_compound_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a source compound: {CONTENT_KEY}"
    )
    dataset_id: Mapped[int] = mapped_column(ForeignKey("core.dataset.dataset_id"), comment="Key of the dataset")
    source_key: Mapped[str] = mapped_column(
        comment="The dataset's own id of the compound, or its name where it has none"
    )
    name: Mapped[str] = mapped_column(comment="Name as the source writes it")
    given_smiles: Mapped[str | None] = mapped_column(comment="SMILES as the source writes it")
    given_inchikey: Mapped[str | None] = mapped_column(comment="InChIKey as the source writes it")
    given_pubchem_cid: Mapped[int | None] = mapped_column(comment="PubChem CID as the source writes it")
    cas: Mapped[str | None] = mapped_column(comment="CAS registry number as the source writes it")
    compound_id: Mapped[int | None] = mapped_column(
        ForeignKey("core.compound.compound_id"), comment="Key of the compound; null where unresolved"
    )
    compound_name: Mapped[str] = mapped_column(
        server_default="", comment="Preferred name of the compound; the source's own name where it is unresolved"
    )
    resolved_by: Mapped[str] = mapped_column(
        comment="What decided the identity: structure, inchikey, pubchem_cid, alias, cas, name, reference or unresolved"
    )
    rule_version: Mapped[RuleVersion]
    conflict: Mapped[str | None] = mapped_column(
        comment="Where the source's own statements contradict each other: what, in words"
    )
    problem: Mapped[str | None] = mapped_column(
        comment="What was given but could not be used for the identity, and why, in words"
    )
    attributes: Mapped[Attributes]


class CompoundAnnotation(Base):
    """What a source says a compound does or is."""

    __tablename__ = "compound_annotation"
    __table_args__ = (
        UniqueConstraint("source_compound_id", "kind", "value", "origin"),
        one_of("kind", ANNOTATION_KINDS),
        Index(None, "kind", "value"),
        {"comment": "What a source says of a compound: mechanism, target, pathway, approval, toxicity label"},
    )
    annotation_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of an annotation: {CONTENT_KEY}"
    )
    source_compound_id: Mapped[int] = mapped_column(
        ForeignKey("core.source_compound.source_compound_id", ondelete="CASCADE"),
        comment="Key of the compound as its dataset wrote it",
    )
    kind: Mapped[str] = mapped_column(comment="moa, target, pathway, approval or toxicity_label")
    value: Mapped[str] = mapped_column(comment="One statement, as published")
    origin: Mapped[str] = mapped_column(comment="Table or file that states it")


class ReferenceAnnotation(Base):
    """What a reference table, which is no data set, says of a compound at the level of its parent."""

    __tablename__ = "reference_annotation"
    __table_args__ = (
        UniqueConstraint("vocabulary_id", "parent_key", "kind", "value"),
        one_of("kind", REFERENCE_KINDS),
        Index(None, "parent_key"),
        Index(None, "kind", "value"),
        {"comment": "What a reference table, which is no data set, says of a compound: name, mechanism, target, ..."},
    )
    reference_annotation_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a reference annotation: {CONTENT_KEY}"
    )
    vocabulary_id: Mapped[int] = mapped_column(
        ForeignKey("core.vocabulary.vocabulary_id", ondelete="CASCADE"), comment="Key of the release that states it"
    )
    parent_key: Mapped[str] = mapped_column(
        comment="InChIKey of the salt- and solvent-free parent; the compound's own where its structure is not known"
    )
    kind: Mapped[str] = mapped_column(comment="name, moa, target, pathway, approval or toxicity_label")
    value: Mapped[str] = mapped_column(comment="One statement, as published")


class Context(Base):
    """The cells: a cell line or a primary cell type."""

    __tablename__ = "context"
    __table_args__ = (
        Index(None, "context_name"),
        {"comment": "The cells: a cell line or a primary cell type, with what is known of their donor"},
    )
    context_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a context: {CONTENT_KEY}"
    )
    context: Mapped[str] = mapped_column(
        unique=True, comment="Cellosaurus or Cell Ontology id of the cells (CVCL:0023, CL:0000182)"
    )
    context_name: Mapped[ContextName]
    kind: Mapped[str] = mapped_column(comment="cell_line, primary_cell or unknown")
    tissue: Mapped[str | None] = mapped_column(comment="Tissue the cells come from")
    tissue_id: Mapped[str | None] = mapped_column(comment="UBERON id of the tissue")
    disease: Mapped[str | None] = mapped_column(comment="Disease of the donor's cells, or normal")
    disease_id: Mapped[str | None] = mapped_column(comment="Ontology id of the disease")
    organism: Mapped[str] = mapped_column(comment="Species of the cells")
    sex: Mapped[str | None] = mapped_column(comment="Sex of the donor")
    development_stage: Mapped[str | None] = mapped_column(comment="Age or stage of the donor")
    ethnicity: Mapped[str | None] = mapped_column(comment="Ethnicity of the donor, self reported")
    donor: Mapped[str | None] = mapped_column(comment="Donor, where the cells are of one person")
    parent_context: Mapped[str | None] = mapped_column(comment="Context the cells were derived from")
    is_problematic: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True where the line is known to be contaminated or misidentified"
    )
    problem_reason: Mapped[str | None] = mapped_column(comment="Why the line is problematic, in words")


class Gene(Base):
    """A gene: Ensembl id of the current release; symbols are labels."""

    __tablename__ = "gene"
    __table_args__ = (
        # With the labels in the key's index, naming the genes of an effect does not touch the table.
        PrimaryKeyConstraint("gene_key", postgresql_include=["gene_id", "symbol"]),
        Index(None, "symbol"),
        Index(None, "landmark_index", unique=True),
        one_of("status", ("current", "unchecked", "retired")),
        {"comment": "Genes by Ensembl id of the current release; symbols are labels"},
    )
    gene_key: Mapped[GeneKey] = mapped_column(autoincrement=False)
    gene_id: Mapped[str] = mapped_column(unique=True, comment="Ensembl gene id, without version")
    symbol: Mapped[str | None] = mapped_column(comment="Gene symbol (HGNC for human genes): a label, not an identity")
    name: Mapped[str | None] = mapped_column(comment="Full name of the gene")
    biotype: Mapped[str | None] = mapped_column(comment="Ensembl biotype")
    chromosome: Mapped[str | None] = mapped_column(comment="Chromosome or sequence the gene lies on")
    entrez_id: Mapped[int | None] = mapped_column(comment="NCBI Gene id")
    hgnc_id: Mapped[str | None] = mapped_column(comment="HGNC accession")
    is_landmark: Mapped[bool] = mapped_column(
        server_default=FALSE, comment="True for the 978 genes that L1000 measures"
    )
    landmark_index: Mapped[int | None] = mapped_column(
        Integer, comment="Position among the 978 landmarks, from 0: the order of effect.landmark_t"
    )
    status: Mapped[str] = mapped_column(
        comment="current in the imported release; unchecked while none was imported; retired by it"
    )


class GeneReplacement(Base):
    """Gene ids that are not current, and what became of them."""

    __tablename__ = "gene_replacement"
    __table_args__ = (
        UniqueConstraint("retired_id", "gene_id", postgresql_nulls_not_distinct=True),
        Index(None, "gene_id"),
        {"comment": "Gene ids that are not current, and the current gene each stands for"},
    )
    gene_replacement_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a replacement: {CONTENT_KEY}"
    )
    retired_id: Mapped[str] = mapped_column(comment="Ensembl gene id that is not, or not primarily, used")
    gene_id: Mapped[str | None] = mapped_column(comment="Ensembl gene id, without version")
    reason: Mapped[str] = mapped_column(
        comment="Why the id is not used: retired, merged, or a copy on an alternate sequence"
    )


class GeneSynonym(Base):
    """Other symbols of genes."""

    __tablename__ = "gene_synonym"
    __table_args__ = ({"comment": "Earlier and alternative symbols of genes"},)
    synonym: Mapped[str] = mapped_column(primary_key=True, comment="Symbol that is not the gene's current one")
    gene_id: Mapped[str] = mapped_column(primary_key=True, index=True, comment="Ensembl gene id, without version")
    kind: Mapped[str] = mapped_column(comment="official (is or was an approved symbol) or alias")


class Vocabulary(Base):
    """Releases of vocabularies that were imported."""

    __tablename__ = "vocabulary"
    __table_args__ = (
        UniqueConstraint("kind", "release"),
        Index("uq_vocabulary_current", "kind", unique=True, postgresql_where="is_current"),
        {"comment": "Releases of vocabularies that were imported; one of each kind is current"},
    )
    vocabulary_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment=f"Key of a vocabulary release: {CONTENT_KEY}"
    )
    kind: Mapped[str] = mapped_column(
        comment="What it is a vocabulary of, such as genes, landmarks, cellosaurus or pubchem"
    )
    release: Mapped[str] = mapped_column(comment="Release as its provider names it")
    is_current: Mapped[bool] = mapped_column(server_default=FALSE, comment="True for the release in use")
    origin: Mapped[str] = mapped_column(comment="File name or address it was read from")
    sha256: Mapped[str] = mapped_column(comment="SHA-256 of the file, hexadecimal; of several files, of their hashes")
    n_rows: Mapped[int] = mapped_column(comment="Entries it holds")
    is_redistributable: Mapped[bool] = mapped_column(
        server_default=TRUE, comment="True where the terms allow passing the data on"
    )
    imported_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, comment="When it was imported")
