"""The first tables: identity, measurements, effects in two orientations, matches, ledger.

Every later revision changes what stands here. The rules below the tables (storage, grants, policies, triggers) are
written out; pbdb.models.rules says the same for the comparison that `pbdb db check` makes.
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "artifact",
    "assay",
    "compound",
    "context",
    "etl_run",
    "feature_set",
    "gene",
    "gene_replacement",
    "gene_synonym",
    "split",
    "vocabulary",
    "reference_annotation",
    "dataset",
    "agreement_summary",
    "fit",
    "plate",
    "source_compound",
    "compound_annotation",
    "condition",
    "fit_sample",
    "gene_effect",
    "effect",
    "match",
    "sample",
    "split_member",
    "agreement",
    "replicate_agreement",
)

# Arrays of results are not compressed, and ANALYZE leaves them alone; arrays of keys are not compressed.
VALUES = {
    "effect": ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj", "landmark"),
    "gene_effect": ("log2_fc", "se", "neg_log10_p_adj"),
    "fit": ("ave_expr", "sigma", "s2_post", "df_total"),
}
KEYS = (("fit", "effect_ids"), ("fit", "condition_ids"), ("feature_set", "gene_keys"))

# Which rows pbdb_public sees; the subquery on dataset is run once, and its result prunes partitions.
DATASET = "dataset_id = ANY (ARRAY(SELECT d.dataset_id FROM core.dataset d))"
BOTH = (
    "dataset_id_a = ANY (ARRAY(SELECT d.dataset_id FROM core.dataset d))"
    " AND dataset_id_b = ANY (ARRAY(SELECT d.dataset_id FROM core.dataset d))"
)
NAMED = "dataset = ANY (ARRAY(SELECT d.dataset FROM core.dataset d))"
VISIBLE = {
    "dataset": "is_redistributable",
    "assay": "EXISTS (SELECT FROM core.dataset p WHERE p.assay_id = assay.assay_id)",
    "plate": DATASET,
    "source_compound": DATASET,
    "compound": "EXISTS (SELECT FROM core.source_compound p WHERE p.compound_id = compound.compound_id)",
    "compound_annotation": "EXISTS (SELECT FROM core.source_compound p WHERE p.source_compound_id = compound_annotation.source_compound_id)",
    "reference_annotation": "EXISTS (SELECT FROM core.vocabulary p WHERE p.vocabulary_id = reference_annotation.vocabulary_id AND p.is_redistributable)",
    "context": "EXISTS (SELECT FROM core.condition p WHERE p.context_id = context.context_id)",
    "condition": DATASET,
    "sample": DATASET,
    "fit": DATASET,
    "fit_sample": "EXISTS (SELECT FROM core.fit p WHERE p.fit_id = fit_sample.fit_id)",
    "feature_set": "EXISTS (SELECT FROM core.fit p WHERE p.feature_set_id = feature_set.feature_set_id)",
    "effect": DATASET,
    "gene_effect": DATASET,
    "match": BOTH,
    "agreement": "EXISTS (SELECT FROM core.match p WHERE p.match_id = agreement.match_id)",
    "replicate_agreement": DATASET,
    "agreement_summary": BOTH,
    "split": "EXISTS (SELECT FROM core.split_member p WHERE p.split_id = split.split_id)",
    "split_member": "EXISTS (SELECT FROM core.condition p WHERE p.condition_id = split_member.condition_id)",
    "etl_run": NAMED,
    "artifact": NAMED,
}

# source_compound.compound_name repeats compound.name, so that a view filtered by name reads an index.
TRIGGERS = """
CREATE FUNCTION core.set_compound_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.compound_name := coalesce(
        (SELECT c.name FROM core.compound c WHERE c.compound_id = NEW.compound_id), NEW.name);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION core.set_compound_name() IS 'Fills source_compound.compound_name';
CREATE FUNCTION core.pass_compound_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE core.source_compound SET compound_name = NEW.name WHERE compound_id = NEW.compound_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION core.pass_compound_name() IS 'Passes a new compound.name on to source_compound';
CREATE TRIGGER set_compound_name BEFORE INSERT OR UPDATE OF compound_id, name, compound_name
    ON core.source_compound FOR EACH ROW EXECUTE FUNCTION core.set_compound_name();
CREATE TRIGGER pass_compound_name AFTER UPDATE OF name
    ON core.compound FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name)
    EXECUTE FUNCTION core.pass_compound_name();
"""
VERSION_TABLE = """
COMMENT ON TABLE core.alembic_version IS 'Revision of the tables, kept by Alembic';
COMMENT ON COLUMN core.alembic_version.version_num IS 'Revision of the tables';
"""


def upgrade() -> None:
    op.create_table(
        "artifact",
        sa.Column(
            "artifact_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the entry"
        ),
        sa.Column("dataset", sa.Text(), nullable=False, comment="Short name of the dataset"),
        sa.Column("kind", sa.Text(), nullable=False, comment="What the file holds, such as samples_h5ad"),
        sa.Column("path", sa.Text(), nullable=False, comment="Path below the folder of pbdb (PBDB_HOME)"),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False, comment="Size in bytes"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the file, hexadecimal"),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was written",
        ),
        sa.PrimaryKeyConstraint("artifact_id", name=op.f("pk_artifact")),
        sa.UniqueConstraint("path", name=op.f("uq_artifact_path")),
        schema="core",
        comment="Files that stages leave behind, such as the canonical sample matrices",
    )
    op.create_index(op.f("ix_artifact_dataset"), "artifact", ["dataset"], unique=False, schema="core")
    op.create_table(
        "assay",
        sa.Column(
            "assay_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of an assay: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("technology", sa.Text(), nullable=False, comment="Technology of measurement, such as DRUG-seq"),
        sa.Column("readout", sa.Text(), nullable=False, comment="counts, or log2_intensity"),
        sa.CheckConstraint("readout IN ('counts', 'log2_intensity')", name=op.f("ck_assay_readout")),
        sa.PrimaryKeyConstraint("assay_id", name=op.f("pk_assay")),
        sa.UniqueConstraint("technology", "readout", name=op.f("uq_assay_technology_readout")),
        schema="core",
        comment="Technology and readout of a dataset",
    )
    op.create_table(
        "compound",
        sa.Column(
            "compound_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a compound: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("pubchem_cid", sa.BigInteger(), nullable=True, comment="PubChem compound id (CID)"),
        sa.Column("molecular_weight", sa.Double(), nullable=True, comment="Average molecular weight, g/mol"),
        sa.Column(
            "replaced_by",
            sa.BigInteger(),
            nullable=True,
            comment="The compound this one became when the identity rules changed; null while current",
        ),
        sa.Column(
            "fingerprint",
            postgresql.BIT(length=2048),
            nullable=True,
            comment="Morgan fingerprint of the parent, radius 2, 2048 bits",
        ),
        sa.Column(
            "screen",
            postgresql.BIT(length=2048),
            nullable=True,
            comment="Pattern fingerprint of the parent, 2048 bits, to screen for substructures",
        ),
        sa.Column("inchikey", sa.Text(), nullable=False, comment="InChIKey of the standardised structure"),
        sa.Column(
            "parent_inchikey",
            sa.Text(),
            nullable=True,
            comment="InChIKey of the salt- and solvent-free parent; null where the structure is not known",
        ),
        sa.Column(
            "skeleton",
            sa.Text(),
            nullable=True,
            comment="First block of the parent's InChIKey: connectivity without stereochemistry",
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Preferred name, lower case"),
        sa.Column(
            "pubchem_title",
            sa.Text(),
            nullable=True,
            comment="Title of the compound in PubChem; null where it was not looked up",
        ),
        sa.Column("smiles", sa.Text(), nullable=True, comment="Structure as SMILES"),
        sa.Column("parent_smiles", sa.Text(), nullable=True, comment="Salt- and solvent-free parent as SMILES"),
        sa.Column("formula", sa.Text(), nullable=True, comment="Molecular formula of the standardised structure"),
        sa.Column(
            "rule_version",
            sa.Text(),
            nullable=True,
            comment="Version of the identity rules and chemistry libraries that decided",
        ),
        sa.ForeignKeyConstraint(["replaced_by"], ["core.compound.compound_id"], name=op.f("fk_compound_replaced_by")),
        sa.PrimaryKeyConstraint("compound_id", name=op.f("pk_compound")),
        sa.UniqueConstraint("inchikey", name=op.f("uq_compound_inchikey")),
        schema="core",
        comment="A standardised structure, one row per InChIKey; coarser levels of identity beside it",
    )
    op.create_index(op.f("ix_compound_name"), "compound", ["name"], unique=False, schema="core")
    op.create_index(op.f("ix_compound_parent_inchikey"), "compound", ["parent_inchikey"], unique=False, schema="core")
    op.create_index(op.f("ix_compound_pubchem_cid"), "compound", ["pubchem_cid"], unique=False, schema="core")
    op.create_index(op.f("ix_compound_replaced_by"), "compound", ["replaced_by"], unique=False, schema="core")
    op.create_index(op.f("ix_compound_skeleton"), "compound", ["skeleton"], unique=False, schema="core")
    op.create_table(
        "context",
        sa.Column(
            "context_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a context: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "context",
            sa.Text(),
            nullable=False,
            comment="Cellosaurus or Cell Ontology id of the cells (CVCL:0023, CL:0000182)",
        ),
        sa.Column("context_name", sa.Text(), nullable=False, comment="Readable name of the cells"),
        sa.Column("kind", sa.Text(), nullable=False, comment="cell_line, primary_cell or unknown"),
        sa.Column("tissue", sa.Text(), nullable=True, comment="Tissue the cells come from"),
        sa.Column("tissue_id", sa.Text(), nullable=True, comment="UBERON id of the tissue"),
        sa.Column("disease", sa.Text(), nullable=True, comment="Disease of the donor's cells, or normal"),
        sa.Column("disease_id", sa.Text(), nullable=True, comment="Ontology id of the disease"),
        sa.Column("organism", sa.Text(), nullable=False, comment="Species of the cells"),
        sa.Column("sex", sa.Text(), nullable=True, comment="Sex of the donor"),
        sa.Column("development_stage", sa.Text(), nullable=True, comment="Age or stage of the donor"),
        sa.Column("ethnicity", sa.Text(), nullable=True, comment="Ethnicity of the donor, self reported"),
        sa.Column("donor", sa.Text(), nullable=True, comment="Donor, where the cells are of one person"),
        sa.Column("parent_context", sa.Text(), nullable=True, comment="Context the cells were derived from"),
        sa.Column(
            "is_problematic",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True where the line is known to be contaminated or misidentified",
        ),
        sa.Column("problem_reason", sa.Text(), nullable=True, comment="Why the line is problematic, in words"),
        sa.PrimaryKeyConstraint("context_id", name=op.f("pk_context")),
        sa.UniqueConstraint("context", name=op.f("uq_context_context")),
        schema="core",
        comment="The cells: a cell line or a primary cell type, with what is known of their donor",
    )
    op.create_index(op.f("ix_context_context_name"), "context", ["context_name"], unique=False, schema="core")
    op.create_table(
        "etl_run",
        sa.Column(
            "etl_run_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the entry"
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Source that fills the dataset: a file of etl/"),
        sa.Column("dataset", sa.Text(), nullable=False, comment="Short name of the dataset"),
        sa.Column("release", sa.Text(), nullable=False, comment="Release as its provider names it"),
        sa.Column("stage", sa.Text(), nullable=False, comment="extract, transform, validate, load, effects or match"),
        sa.Column("status", sa.Text(), nullable=False, comment="done or failed"),
        sa.Column(
            "fingerprint", sa.Text(), nullable=False, comment="Fingerprint of inputs, declaration and code of the load"
        ),
        sa.Column(
            "inputs",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Files read: name, bytes, SHA-256, and against what the hash was checked",
        ),
        sa.Column("rows_in", sa.BigInteger(), nullable=True, comment="Rows that came in"),
        sa.Column("rows_out", sa.BigInteger(), nullable=True, comment="Rows that went out"),
        sa.Column(
            "dropped",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Rows left out, counted by reason",
        ),
        sa.Column(
            "report",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="What the fit did: counts, priors, seconds per step",
        ),
        sa.Column("message", sa.Text(), nullable=True, comment="What went wrong, where the stage failed"),
        sa.Column("seconds", sa.Double(), nullable=False, comment="Time the stage took"),
        sa.Column("peak_mb", sa.Double(), nullable=False, comment="Peak memory of the process, MiB"),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of pbdb that wrote the row"),
        sa.Column(
            "finished_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the stage ended",
        ),
        sa.CheckConstraint(
            "stage IN ('extract', 'transform', 'validate', 'load', 'effects', 'match')", name=op.f("ck_etl_run_stage")
        ),
        sa.CheckConstraint("status IN ('done', 'failed')", name=op.f("ck_etl_run_status")),
        sa.PrimaryKeyConstraint("etl_run_id", name=op.f("pk_etl_run")),
        schema="core",
        comment="The ledger: one row for each stage of a load that did work",
    )
    op.create_index(op.f("ix_etl_run_dataset"), "etl_run", ["dataset"], unique=False, schema="core")
    op.create_table(
        "feature_set",
        sa.Column(
            "feature_set_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a feature set: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("n_genes", sa.Integer(), nullable=False, comment="Number of genes"),
        sa.Column(
            "gene_keys",
            postgresql.ARRAY(sa.INTEGER()),
            nullable=False,
            comment="Integer keys of the genes, in array order",
        ),
        sa.PrimaryKeyConstraint("feature_set_id", name=op.f("pk_feature_set")),
        schema="core",
        comment="The ordered genes of a fit; fits that test the same genes share one",
    )
    op.create_table(
        "gene",
        sa.Column(
            "gene_key",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Integer key of a gene: the number in its Ensembl id (other species: with an offset)",
        ),
        sa.Column("gene_id", sa.Text(), nullable=False, comment="Ensembl gene id, without version"),
        sa.Column(
            "symbol", sa.Text(), nullable=True, comment="Gene symbol (HGNC for human genes): a label, not an identity"
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Full name of the gene"),
        sa.Column("biotype", sa.Text(), nullable=True, comment="Ensembl biotype"),
        sa.Column("chromosome", sa.Text(), nullable=True, comment="Chromosome or sequence the gene lies on"),
        sa.Column("entrez_id", sa.BigInteger(), nullable=True, comment="NCBI Gene id"),
        sa.Column("hgnc_id", sa.Text(), nullable=True, comment="HGNC accession"),
        sa.Column(
            "is_landmark",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True for the 978 genes that L1000 measures",
        ),
        sa.Column(
            "landmark_index",
            sa.Integer(),
            nullable=True,
            comment="Position among the 978 landmarks, from 0: the order of effect.landmark",
        ),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="current in the imported release; unchecked while none was imported; retired by it",
        ),
        sa.CheckConstraint("status IN ('current', 'unchecked', 'retired')", name=op.f("ck_gene_status")),
        sa.PrimaryKeyConstraint("gene_key", name=op.f("pk_gene"), postgresql_include=["gene_id", "symbol"]),
        sa.UniqueConstraint("gene_id", name=op.f("uq_gene_gene_id")),
        schema="core",
        comment="Genes by Ensembl id of the current release; symbols are labels",
    )
    op.create_index(op.f("ix_gene_landmark_index"), "gene", ["landmark_index"], unique=True, schema="core")
    op.create_index(op.f("ix_gene_symbol"), "gene", ["symbol"], unique=False, schema="core")
    op.create_table(
        "gene_replacement",
        sa.Column(
            "gene_replacement_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a replacement: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "retired_id", sa.Text(), nullable=False, comment="Ensembl gene id that is not, or not primarily, used"
        ),
        sa.Column("gene_id", sa.Text(), nullable=True, comment="Ensembl gene id, without version"),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="Why the id is not used: retired, merged, or a copy on an alternate sequence",
        ),
        sa.PrimaryKeyConstraint("gene_replacement_id", name=op.f("pk_gene_replacement")),
        sa.UniqueConstraint(
            "retired_id",
            "gene_id",
            name=op.f("uq_gene_replacement_retired_id_gene_id"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="core",
        comment="Gene ids that are not current, and the current gene each stands for",
    )
    op.create_index(op.f("ix_gene_replacement_gene_id"), "gene_replacement", ["gene_id"], unique=False, schema="core")
    op.create_table(
        "gene_synonym",
        sa.Column("synonym", sa.Text(), nullable=False, comment="Symbol that is not the gene's current one"),
        sa.Column("gene_id", sa.Text(), nullable=False, comment="Ensembl gene id, without version"),
        sa.Column("kind", sa.Text(), nullable=False, comment="official (is or was an approved symbol) or alias"),
        sa.PrimaryKeyConstraint("synonym", "gene_id", name=op.f("pk_gene_synonym")),
        schema="core",
        comment="Earlier and alternative symbols of genes",
    )
    op.create_index(op.f("ix_gene_synonym_gene_id"), "gene_synonym", ["gene_id"], unique=False, schema="core")
    op.create_table(
        "split",
        sa.Column(
            "split_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a split: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("split", sa.Text(), nullable=False, comment="Name of the split"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="What is held out: compound, scaffold, context, dataset or published",
        ),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Every parameter of the computation, by name",
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of pbdb that wrote the row"),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was written",
        ),
        sa.CheckConstraint(
            "kind IN ('compound', 'scaffold', 'context', 'dataset', 'published')", name=op.f("ck_split_kind")
        ),
        sa.PrimaryKeyConstraint("split_id", name=op.f("pk_split")),
        sa.UniqueConstraint("split", name=op.f("uq_split_split")),
        schema="core",
        comment="A division of the conditions into folds, for training and testing models",
    )
    op.create_table(
        "vocabulary",
        sa.Column(
            "vocabulary_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a vocabulary release: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="What it is a vocabulary of, such as genes, landmarks, cellosaurus or pubchem",
        ),
        sa.Column("release", sa.Text(), nullable=False, comment="Release as its provider names it"),
        sa.Column(
            "is_current",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True for the release in use",
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="File name or address it was read from"),
        sa.Column(
            "sha256",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the file, hexadecimal; of several files, of their hashes",
        ),
        sa.Column("n_rows", sa.BigInteger(), nullable=False, comment="Entries it holds"),
        sa.Column(
            "is_redistributable",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="True where the terms allow passing the data on",
        ),
        sa.Column(
            "imported_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was imported",
        ),
        sa.PrimaryKeyConstraint("vocabulary_id", name=op.f("pk_vocabulary")),
        sa.UniqueConstraint("kind", "release", name=op.f("uq_vocabulary_kind_release")),
        schema="core",
        comment="Releases of vocabularies that were imported; one of each kind is current",
    )
    op.create_index(
        "uq_vocabulary_current", "vocabulary", ["kind"], unique=True, schema="core", postgresql_where="is_current"
    )
    op.create_table(
        "reference_annotation",
        sa.Column(
            "reference_annotation_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a reference annotation: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("vocabulary_id", sa.BigInteger(), nullable=False, comment="Key of the release that states it"),
        sa.Column(
            "parent_key",
            sa.Text(),
            nullable=False,
            comment="InChIKey of the salt- and solvent-free parent; the compound's own where its structure is not known",
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="name, moa, target, pathway, approval or toxicity_label"),
        sa.Column("value", sa.Text(), nullable=False, comment="One statement, as published"),
        sa.CheckConstraint(
            "kind IN ('name', 'moa', 'target', 'pathway', 'approval', 'toxicity_label')",
            name=op.f("ck_reference_annotation_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["vocabulary_id"],
            ["core.vocabulary.vocabulary_id"],
            name=op.f("fk_reference_annotation_vocabulary_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("reference_annotation_id", name=op.f("pk_reference_annotation")),
        sa.UniqueConstraint(
            "vocabulary_id",
            "parent_key",
            "kind",
            "value",
            name=op.f("uq_reference_annotation_vocabulary_id_parent_key_kind_value"),
        ),
        schema="core",
        comment="What a reference table, which is no data set, says of a compound: name, mechanism, target, ...",
    )
    op.create_index(
        op.f("ix_reference_annotation_kind_value"),
        "reference_annotation",
        ["kind", "value"],
        unique=False,
        schema="core",
    )
    op.create_index(
        op.f("ix_reference_annotation_parent_key"),
        "reference_annotation",
        ["parent_key"],
        unique=False,
        schema="core",
    )
    op.create_table(
        "dataset",
        sa.Column("dataset_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Key of the dataset"),
        sa.Column("dataset", sa.Text(), nullable=False, comment="Short name of the dataset"),
        sa.Column("source", sa.Text(), nullable=False, comment="Source that fills the dataset: a file of etl/"),
        sa.Column("title", sa.Text(), nullable=False, comment="Title of the data set"),
        sa.Column("release", sa.Text(), nullable=False, comment="Release as its provider names it"),
        sa.Column(
            "assay_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of an assay: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "license",
            sa.Text(),
            nullable=False,
            comment="Licence of the data, in the words of the provider or as SPDX id",
        ),
        sa.Column("citation", sa.Text(), nullable=False, comment="How to cite the data"),
        sa.Column("doi", sa.Text(), nullable=True, comment="DOI of the data or of their publication"),
        sa.Column("homepage", sa.Text(), nullable=True, comment="Address where the provider describes the data"),
        sa.Column(
            "access", sa.Text(), nullable=False, comment="open, token, gated or on_request: how the files are obtained"
        ),
        sa.Column(
            "is_redistributable",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True where the terms allow passing the data on",
        ),
        sa.Column(
            "is_non_commercial",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True where the terms forbid commercial use",
        ),
        sa.Column(
            "is_simulated",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True where the files loaded were written by a simulator",
        ),
        sa.Column(
            "overlap_group",
            sa.Text(),
            nullable=True,
            comment="Datasets of one group share wells: they are never matched with each other or counted twice",
        ),
        sa.Column(
            "is_primary",
            sa.Boolean(),
            server_default="true",
            nullable=False,
            comment="True for the one dataset of an overlap group that counts in totals",
        ),
        sa.Column(
            "fingerprint", sa.Text(), nullable=True, comment="Fingerprint of inputs, declaration and code of the load"
        ),
        sa.Column(
            "effects_fingerprint",
            sa.Text(),
            nullable=True,
            comment="Fingerprint of the default fits on display; null where effects are not loaded",
        ),
        sa.Column(
            "matches_fingerprint",
            sa.Text(),
            nullable=True,
            comment="Fingerprint of the load whose conditions were matched; null where none was",
        ),
        sa.CheckConstraint("access IN ('open', 'token', 'gated', 'on_request')", name=op.f("ck_dataset_access")),
        sa.ForeignKeyConstraint(["assay_id"], ["core.assay.assay_id"], name=op.f("fk_dataset_assay_id")),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("dataset", name=op.f("uq_dataset_dataset")),
        schema="core",
        comment="One harmonised data set, with its origin and terms of use",
    )
    op.create_index(op.f("ix_dataset_assay_id"), "dataset", ["assay_id"], unique=False, schema="core")
    op.create_table(
        "agreement_summary",
        sa.Column(
            "agreement_summary_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a summary: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("dataset_id_a", sa.BigInteger(), nullable=False, comment="Dataset of the first condition"),
        sa.Column("dataset_id_b", sa.BigInteger(), nullable=False, comment="Dataset of the second condition"),
        sa.Column("metric", sa.Text(), nullable=False, comment="Statistic, such as spearman_log2_fc or direction_both"),
        sa.Column(
            "quantity",
            sa.Text(),
            nullable=False,
            comment="score; a baseline or statistic of peers; or delta_ and a baseline: the score less the baseline",
        ),
        sa.Column(
            "inchikey_level",
            sa.Text(),
            nullable=False,
            comment="Level of identity: inchikey, parent_inchikey, skeleton or pubchem_cid",
        ),
        sa.Column("time_tolerance_h", sa.Double(), nullable=False, comment="Hours by which the two times may differ"),
        sa.Column("dose_window", sa.Double(), nullable=False, comment="Fold of dose up to which matches count"),
        sa.Column(
            "n_matches",
            sa.Integer(),
            nullable=False,
            comment="Matches of the two datasets, or conditions with replicates",
        ),
        sa.Column(
            "n_defined", sa.Integer(), nullable=False, comment="Matches (conditions) on which the quantity is defined"
        ),
        sa.Column(
            "n_units",
            sa.Integer(),
            nullable=False,
            comment="Units averaged: distinct compounds in a context at a time among those defined",
        ),
        sa.Column("n_compounds", sa.Integer(), nullable=False, comment="Distinct compounds among them"),
        sa.Column("mean", sa.Double(), nullable=True, comment="Mean over contexts, times and compounds"),
        sa.Column("interval_low", sa.Double(), nullable=True, comment="Lower end of the 95 % interval"),
        sa.Column("interval_high", sa.Double(), nullable=True, comment="Upper end of the 95 % interval"),
        sa.Column("interval_status", sa.Text(), nullable=False, comment="bca, percentile, degenerate or not_estimable"),
        sa.Column(
            "parameters_id",
            sa.BigInteger(),
            nullable=False,
            comment="First 52 bits of SHA-256 over the parameters of the computation, which agreement_summary shows",
        ),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Every parameter of the computation, by name",
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of pbdb that wrote the row"),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was written",
        ),
        sa.CheckConstraint(
            "interval_status IN ('bca', 'percentile', 'degenerate', 'not_estimable')",
            name=op.f("ck_agreement_summary_interval_status"),
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id_a"],
            ["core.dataset.dataset_id"],
            name=op.f("fk_agreement_summary_dataset_id_a"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id_b"],
            ["core.dataset.dataset_id"],
            name=op.f("fk_agreement_summary_dataset_id_b"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("agreement_summary_id", name=op.f("pk_agreement_summary")),
        sa.UniqueConstraint(
            "parameters_id",
            "dataset_id_a",
            "dataset_id_b",
            "metric",
            "quantity",
            name=op.f("uq_agreement_summary_parameters_id_dataset_id_a_dataset_id_b_metric_quantity"),
        ),
        schema="core",
        comment="A statistic over all matches of two datasets, with a compound-clustered interval",
    )
    op.create_index(
        op.f("ix_agreement_summary_dataset_id_a"), "agreement_summary", ["dataset_id_a"], unique=False, schema="core"
    )
    op.create_index(
        op.f("ix_agreement_summary_dataset_id_b"), "agreement_summary", ["dataset_id_b"], unique=False, schema="core"
    )
    op.create_table(
        "fit",
        sa.Column(
            "fit_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a fit: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False, comment="Key of the dataset"),
        sa.Column(
            "context_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of a context: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "stratum",
            sa.Text(),
            nullable=True,
            comment="Source-specific stratum fitted on its own (such as percent DMSO); null where none",
        ),
        sa.Column("method", sa.Text(), nullable=False, comment="Method of estimation: voom, trend or deseq2"),
        sa.Column(
            "mode",
            sa.Text(),
            nullable=False,
            comment="pooled: all wells of a condition in one effect; replicate: each treated well its own",
        ),
        sa.Column(
            "is_default",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True for the one fit of its context that the default views show",
        ),
        sa.Column(
            "is_stale",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True where a gene of the fit was retired, merged or dropped since",
        ),
        sa.Column(
            "feature_set_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of a feature set: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("n_samples", sa.Integer(), nullable=False, comment="Samples in the fit, vehicle included"),
        sa.Column("n_control", sa.Integer(), nullable=False, comment="Vehicle samples of the fit or effect"),
        sa.Column(
            "n_plates",
            sa.Integer(),
            nullable=False,
            comment="Plates of the fit, or of the treated samples of an effect",
        ),
        sa.Column(
            "n_components",
            sa.Integer(),
            nullable=False,
            comment="Connected components of the graph of conditions and plates",
        ),
        sa.Column("filter_rule", sa.Text(), nullable=False, comment="Expression filter: floor, limma or none"),
        sa.Column("n_genes_in", sa.Integer(), nullable=False, comment="Genes before the expression filter"),
        sa.Column(
            "cpm_cutoff",
            sa.Double(),
            nullable=True,
            comment="Counts per million a gene must reach; null without filter",
        ),
        sa.Column("min_samples", sa.Double(), nullable=True, comment="Samples in which a gene must reach cpm_cutoff"),
        sa.Column("span", sa.Double(), nullable=True, comment="Span of the voom trend; null for other methods"),
        sa.Column("df_residual", sa.Double(), nullable=True, comment="Residual degrees of freedom of a complete gene"),
        sa.Column(
            "df_prior",
            sa.Double(),
            nullable=True,
            comment="Prior degrees of freedom, median over genes; infinity where the variances do not differ",
        ),
        sa.Column(
            "effect_ids",
            postgresql.ARRAY(sa.BIGINT()),
            nullable=False,
            comment="Effects with status ok, in the order of gene_effect's arrays",
        ),
        sa.Column(
            "condition_ids",
            postgresql.ARRAY(sa.BIGINT()),
            nullable=False,
            comment="Conditions of the effects, in the order of effect_ids",
        ),
        sa.Column(
            "ave_expr",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="Mean log2 expression of each gene over the samples of the fit",
        ),
        sa.Column(
            "sigma", postgresql.ARRAY(sa.REAL()), nullable=True, comment="Residual standard deviation of each gene"
        ),
        sa.Column(
            "s2_post", postgresql.ARRAY(sa.REAL()), nullable=True, comment="Moderated residual variance of each gene"
        ),
        sa.Column(
            "df_total",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="Degrees of freedom of the moderated t of each gene",
        ),
        sa.Column(
            "neg_log10_p_cutoff",
            sa.Double(),
            nullable=True,
            comment="-log10 p from which an effect is below 5 % false discoveries over the whole fit",
        ),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Every parameter of the computation, by name",
        ),
        sa.Column(
            "report",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="What the fit did: counts, priors, seconds per step",
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of pbdb that wrote the row"),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row was written",
        ),
        sa.CheckConstraint("NOT is_default OR mode = 'pooled'", name=op.f("ck_fit_default_is_pooled")),
        sa.CheckConstraint("method IN ('voom', 'trend', 'deseq2')", name=op.f("ck_fit_method")),
        sa.CheckConstraint("mode IN ('pooled', 'replicate')", name=op.f("ck_fit_mode")),
        sa.ForeignKeyConstraint(["context_id"], ["core.context.context_id"], name=op.f("fk_fit_context_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["core.dataset.dataset_id"], name=op.f("fk_fit_dataset_id")),
        sa.ForeignKeyConstraint(
            ["feature_set_id"], ["core.feature_set.feature_set_id"], name=op.f("fk_fit_feature_set_id")
        ),
        sa.PrimaryKeyConstraint("fit_id", name=op.f("pk_fit")),
        schema="core",
        comment="One model over all samples of a dataset in one context (and stratum)",
    )
    op.create_index(op.f("ix_fit_context_id"), "fit", ["context_id"], unique=False, schema="core")
    op.create_index(op.f("ix_fit_dataset_id"), "fit", ["dataset_id"], unique=False, schema="core")
    op.create_index(op.f("ix_fit_feature_set_id"), "fit", ["feature_set_id"], unique=False, schema="core")
    op.create_index(
        "uq_fit_default",
        "fit",
        ["dataset_id", "context_id", "stratum"],
        unique=True,
        schema="core",
        postgresql_where="is_default",
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "plate",
        sa.Column(
            "plate_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a plate: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False, comment="Key of the dataset"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Name of the plate, as the source writes it"),
        sa.ForeignKeyConstraint(["dataset_id"], ["core.dataset.dataset_id"], name=op.f("fk_plate_dataset_id")),
        sa.PrimaryKeyConstraint("plate_id", name=op.f("pk_plate")),
        sa.UniqueConstraint("dataset_id", "plate", name=op.f("uq_plate_dataset_id_plate")),
        schema="core",
        comment="A physical or logical plate of a dataset: a covariate of its fits",
    )
    op.create_table(
        "source_compound",
        sa.Column(
            "source_compound_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a source compound: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False, comment="Key of the dataset"),
        sa.Column(
            "source_key",
            sa.Text(),
            nullable=False,
            comment="The dataset's own id of the compound, or its name where it has none",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Name as the source writes it"),
        sa.Column("given_smiles", sa.Text(), nullable=True, comment="SMILES as the source writes it"),
        sa.Column("given_inchikey", sa.Text(), nullable=True, comment="InChIKey as the source writes it"),
        sa.Column("given_pubchem_cid", sa.BigInteger(), nullable=True, comment="PubChem CID as the source writes it"),
        sa.Column("cas", sa.Text(), nullable=True, comment="CAS registry number as the source writes it"),
        sa.Column("compound_id", sa.BigInteger(), nullable=True, comment="Key of the compound; null where unresolved"),
        sa.Column(
            "compound_name",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="Preferred name of the compound; the source's own name where it is unresolved",
        ),
        sa.Column(
            "resolved_by",
            sa.Text(),
            nullable=False,
            comment="What decided the identity: structure, inchikey, pubchem_cid, alias, cas, name or unresolved",
        ),
        sa.Column(
            "rule_version",
            sa.Text(),
            nullable=True,
            comment="Version of the identity rules and chemistry libraries that decided",
        ),
        sa.Column(
            "conflict",
            sa.Text(),
            nullable=True,
            comment="Where the source's own statements contradict each other: what, in words",
        ),
        sa.Column(
            "problem",
            sa.Text(),
            nullable=True,
            comment="What was given but could not be used for the identity, and why, in words",
        ),
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Further facts the source states, as published, by name",
        ),
        sa.CheckConstraint(
            "resolved_by IN ('structure', 'inchikey', 'pubchem_cid', 'alias', 'cas', 'name', 'unresolved')",
            name=op.f("ck_source_compound_resolved_by"),
        ),
        sa.ForeignKeyConstraint(
            ["compound_id"], ["core.compound.compound_id"], name=op.f("fk_source_compound_compound_id")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["core.dataset.dataset_id"], name=op.f("fk_source_compound_dataset_id")
        ),
        sa.PrimaryKeyConstraint("source_compound_id", name=op.f("pk_source_compound")),
        sa.UniqueConstraint("dataset_id", "source_key", name=op.f("uq_source_compound_dataset_id_source_key")),
        schema="core",
        comment="What one dataset wrote about a compound, and how it was resolved",
    )
    op.create_index(
        op.f("ix_source_compound_compound_id"), "source_compound", ["compound_id"], unique=False, schema="core"
    )
    op.create_index(
        op.f("ix_source_compound_compound_name"), "source_compound", ["compound_name"], unique=False, schema="core"
    )
    op.create_index(op.f("ix_source_compound_name"), "source_compound", ["name"], unique=False, schema="core")
    op.create_table(
        "compound_annotation",
        sa.Column(
            "annotation_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of an annotation: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "source_compound_id", sa.BigInteger(), nullable=False, comment="Key of the compound as its dataset wrote it"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="moa, target, pathway, approval or toxicity_label"),
        sa.Column("value", sa.Text(), nullable=False, comment="One statement, as published"),
        sa.Column("origin", sa.Text(), nullable=False, comment="Table or file that states it"),
        sa.CheckConstraint(
            "kind IN ('moa', 'target', 'pathway', 'approval', 'toxicity_label')",
            name=op.f("ck_compound_annotation_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["source_compound_id"],
            ["core.source_compound.source_compound_id"],
            name=op.f("fk_compound_annotation_source_compound_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("annotation_id", name=op.f("pk_compound_annotation")),
        sa.UniqueConstraint(
            "source_compound_id",
            "kind",
            "value",
            "origin",
            name=op.f("uq_compound_annotation_source_compound_id_kind_value_origin"),
        ),
        schema="core",
        comment="What a source says of a compound: mechanism, target, pathway, approval, toxicity label",
    )
    op.create_index(
        op.f("ix_compound_annotation_kind_value"), "compound_annotation", ["kind", "value"], unique=False, schema="core"
    )
    op.create_table(
        "condition",
        sa.Column(
            "condition_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a condition: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False, comment="Key of the dataset"),
        sa.Column(
            "source_compound_id", sa.BigInteger(), nullable=False, comment="Key of the compound as its dataset wrote it"
        ),
        sa.Column(
            "context_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of a context: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "dose_fm",
            sa.BigInteger(),
            nullable=True,
            comment="Dose in femtomolar, exact; 0 for vehicle; null where no molar dose is known",
        ),
        sa.Column(
            "dose_um",
            sa.Double(),
            sa.Computed("(dose_fm)::double precision / '1000000000'::double precision", persisted=True),
            nullable=True,
            comment="Dose in micromolar, computed from dose_fm",
        ),
        sa.Column("time_h", sa.Double(), nullable=False, comment="Hours of exposure before harvest"),
        sa.Column(
            "stratum",
            sa.Text(),
            nullable=True,
            comment="Source-specific stratum fitted on its own (such as percent DMSO); null where none",
        ),
        sa.Column(
            "is_vehicle", sa.Boolean(), nullable=False, comment="True for vehicle: wells that got the solvent alone"
        ),
        sa.Column(
            "n_samples",
            sa.BigInteger(),
            nullable=False,
            comment="Samples of the condition, whether they are in a fit or not",
        ),
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Further facts the source states, as published, by name",
        ),
        sa.CheckConstraint("NOT is_vehicle OR dose_fm = 0", name=op.f("ck_condition_vehicle_dose")),
        sa.CheckConstraint("dose_fm >= 0", name=op.f("ck_condition_dose_fm")),
        sa.CheckConstraint("time_h >= 0", name=op.f("ck_condition_time_h")),
        sa.ForeignKeyConstraint(["context_id"], ["core.context.context_id"], name=op.f("fk_condition_context_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["core.dataset.dataset_id"], name=op.f("fk_condition_dataset_id")),
        sa.ForeignKeyConstraint(
            ["source_compound_id"],
            ["core.source_compound.source_compound_id"],
            name=op.f("fk_condition_source_compound_id"),
        ),
        sa.PrimaryKeyConstraint("condition_id", name=op.f("pk_condition")),
        sa.UniqueConstraint(
            "dataset_id",
            "source_compound_id",
            "context_id",
            "dose_fm",
            "time_h",
            "stratum",
            name="uq_condition_key",
            postgresql_nulls_not_distinct=True,
        ),
        schema="core",
        comment="One experimental condition: dataset, compound, context, dose and time (and stratum)",
    )
    op.create_index(
        "ix_condition_coverage",
        "condition",
        ["context_id", "dataset_id", "source_compound_id", "is_vehicle"],
        unique=False,
        schema="core",
        postgresql_include=["n_samples", "dose_um", "time_h"],
    )
    op.create_index(
        op.f("ix_condition_source_compound_id"), "condition", ["source_compound_id"], unique=False, schema="core"
    )
    op.create_table(
        "fit_sample",
        sa.Column(
            "fit_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a fit: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "sample_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a sample: first 52 bits of SHA-256 over table name and natural key: the same on every machine; null for pooled effects",
        ),
        sa.Column("role", sa.Text(), nullable=False, comment="treated or vehicle"),
        sa.CheckConstraint("role IN ('treated', 'vehicle')", name=op.f("ck_fit_sample_role")),
        sa.ForeignKeyConstraint(["fit_id"], ["core.fit.fit_id"], name=op.f("fk_fit_sample_fit_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("fit_id", "sample_id", name=op.f("pk_fit_sample")),
        schema="core",
        comment="The samples of a fit and the part each plays",
    )
    op.create_index(op.f("ix_fit_sample_sample_id"), "fit_sample", ["sample_id"], unique=False, schema="core")
    op.create_table(
        "gene_effect",
        sa.Column("dataset_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Key of the dataset"),
        sa.Column(
            "gene_key",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Integer key of a gene: the number in its Ensembl id (other species: with an offset)",
        ),
        sa.Column(
            "fit_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a fit: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "log2_fc",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="log2 fold change, condition over vehicle of the same time; up is positive",
        ),
        sa.Column("se", postgresql.ARRAY(sa.REAL()), nullable=True, comment="Moderated standard error of log2_fc"),
        sa.Column(
            "neg_log10_p_adj",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="-log10 of the p value adjusted over the genes of one effect (BH)",
        ),
        sa.ForeignKeyConstraint(["dataset_id"], ["core.dataset.dataset_id"], name=op.f("fk_gene_effect_dataset_id")),
        sa.ForeignKeyConstraint(["fit_id"], ["core.fit.fit_id"], name=op.f("fk_gene_effect_fit_id")),
        sa.ForeignKeyConstraint(["gene_key"], ["core.gene.gene_key"], name=op.f("fk_gene_effect_gene_key")),
        sa.PrimaryKeyConstraint("dataset_id", "gene_key", "fit_id", name=op.f("pk_gene_effect")),
        schema="core",
        comment="The transpose of effect: one gene of a fit over the fit's effect_ids",
        postgresql_partition_by="LIST (dataset_id)",
    )
    op.create_index(op.f("ix_gene_effect_fit_id"), "gene_effect", ["fit_id"], unique=False, schema="core")
    op.create_index(op.f("ix_gene_effect_gene_key"), "gene_effect", ["gene_key"], unique=False, schema="core")
    op.create_table(
        "effect",
        sa.Column("dataset_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Key of the dataset"),
        sa.Column(
            "effect_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of an effect: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "fit_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of a fit: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "condition_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of a condition: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "sample_id",
            sa.BigInteger(),
            nullable=True,
            comment="Key of a sample: first 52 bits of SHA-256 over table name and natural key: the same on every machine; null for pooled effects",
        ),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="ok, or the reason why the effect could not be estimated"
        ),
        sa.Column("n_treated", sa.Integer(), nullable=False, comment="Treated samples of the effect in the fit"),
        sa.Column("n_control", sa.Integer(), nullable=False, comment="Vehicle samples of the fit or effect"),
        sa.Column(
            "n_plates",
            sa.Integer(),
            nullable=False,
            comment="Plates of the fit, or of the treated samples of an effect",
        ),
        sa.Column(
            "n_control_same_plates",
            sa.Integer(),
            nullable=False,
            comment="Vehicle samples on the plates of the treated samples",
        ),
        sa.Column("n_genes", sa.Integer(), nullable=True, comment="Number of genes"),
        sa.Column("prior_var", sa.Double(), nullable=True, comment="Prior variance of the log-odds statistic B"),
        sa.Column("n_up", sa.Integer(), nullable=True, comment="Genes up with p_adj < 0.05 within the effect"),
        sa.Column("n_down", sa.Integer(), nullable=True, comment="Genes down with p_adj < 0.05 within the effect"),
        sa.Column("n_up_fit", sa.Integer(), nullable=True, comment="Genes up at 5 % false discoveries over the fit"),
        sa.Column(
            "n_down_fit", sa.Integer(), nullable=True, comment="Genes down at 5 % false discoveries over the fit"
        ),
        sa.Column("n_landmarks", sa.Integer(), nullable=True, comment="Landmark genes among the tested genes"),
        sa.Column(
            "log2_fc",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="log2 fold change, condition over vehicle of the same time; up is positive",
        ),
        sa.Column("se", postgresql.ARRAY(sa.REAL()), nullable=True, comment="Moderated standard error of log2_fc"),
        sa.Column("neg_log10_p", postgresql.ARRAY(sa.REAL()), nullable=True, comment="-log10 of the two-sided p value"),
        sa.Column(
            "neg_log10_p_adj",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="-log10 of the p value adjusted over the genes of one effect (BH)",
        ),
        sa.Column(
            "landmark",
            pgvector.sqlalchemy.HALFVEC(dim=978),
            nullable=True,
            comment="Moderated t of the 978 landmarks in landmark_index order, clipped to +-50, 0 where untested",
        ),
        sa.CheckConstraint(
            "status IN ('ok', 'no_vehicle', 'confounded_with_plate', 'no_sample', 'no_residual_df', 'no_dose', 'not_fitted', 'no_gene')",
            name=op.f("ck_effect_status"),
        ),
        sa.ForeignKeyConstraint(["condition_id"], ["core.condition.condition_id"], name=op.f("fk_effect_condition_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["core.dataset.dataset_id"], name=op.f("fk_effect_dataset_id")),
        sa.ForeignKeyConstraint(["fit_id"], ["core.fit.fit_id"], name=op.f("fk_effect_fit_id")),
        sa.PrimaryKeyConstraint("dataset_id", "effect_id", name=op.f("pk_effect")),
        schema="core",
        comment="The effect of one condition (or one well) in one fit: arrays over the fit's genes",
        postgresql_partition_by="LIST (dataset_id)",
    )
    op.create_index(op.f("ix_effect_condition_id"), "effect", ["condition_id"], unique=False, schema="core")
    op.create_index(op.f("ix_effect_effect_id"), "effect", ["effect_id"], unique=False, schema="core")
    op.create_index(op.f("ix_effect_fit_id"), "effect", ["fit_id"], unique=False, schema="core")
    op.create_index(op.f("ix_effect_sample_id"), "effect", ["sample_id"], unique=False, schema="core")
    op.create_table(
        "match",
        sa.Column(
            "match_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a match: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("dataset_id_a", sa.BigInteger(), nullable=False, comment="Dataset of the first condition"),
        sa.Column("dataset_id_b", sa.BigInteger(), nullable=False, comment="Dataset of the second condition"),
        sa.Column("condition_id_a", sa.BigInteger(), nullable=False, comment="First condition"),
        sa.Column("condition_id_b", sa.BigInteger(), nullable=False, comment="Second condition"),
        sa.Column(
            "effect_id_a", sa.BigInteger(), nullable=True, comment="Effect of the first condition in its default fit"
        ),
        sa.Column(
            "effect_id_b", sa.BigInteger(), nullable=True, comment="Effect of the second condition in its default fit"
        ),
        sa.Column(
            "inchikey_level",
            sa.Text(),
            nullable=False,
            comment="Level of identity: inchikey, parent_inchikey, skeleton or pubchem_cid",
        ),
        sa.Column("compound_key", sa.Text(), nullable=False, comment="The shared compound at the level of identity"),
        sa.Column("time_tolerance_h", sa.Double(), nullable=False, comment="Hours by which the two times may differ"),
        sa.Column("dose_fold", sa.Double(), nullable=False, comment="Larger dose over smaller dose, at least 1"),
        sa.Column(
            "tie_block_size",
            sa.Integer(),
            nullable=False,
            comment="Matches in the block of equally near doses this one belongs to, itself included",
        ),
        sa.Column(
            "n_shared_compounds",
            sa.Integer(),
            nullable=False,
            comment="Compounds matched within ten-fold dose in the same two datasets, context and times",
        ),
        sa.Column(
            "from_window",
            sa.Double(),
            nullable=True,
            comment="Narrowest window (fold of dose) in which the match counts: dose_fold, or the window from which on the two datasets share ten compounds in the context at these times; null where they never do",
        ),
        sa.CheckConstraint(
            "inchikey_level IN ('inchikey', 'parent_inchikey', 'skeleton', 'pubchem_cid')",
            name=op.f("ck_match_inchikey_level"),
        ),
        sa.CheckConstraint("dose_fold >= 1", name=op.f("ck_match_dose_fold")),
        sa.ForeignKeyConstraint(
            ["condition_id_a"],
            ["core.condition.condition_id"],
            name=op.f("fk_match_condition_id_a"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["condition_id_b"],
            ["core.condition.condition_id"],
            name=op.f("fk_match_condition_id_b"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["dataset_id_a"], ["core.dataset.dataset_id"], name=op.f("fk_match_dataset_id_a")),
        sa.ForeignKeyConstraint(["dataset_id_b"], ["core.dataset.dataset_id"], name=op.f("fk_match_dataset_id_b")),
        sa.PrimaryKeyConstraint("match_id", name=op.f("pk_match")),
        sa.UniqueConstraint(
            "inchikey_level",
            "time_tolerance_h",
            "condition_id_a",
            "condition_id_b",
            name=op.f("uq_match_inchikey_level_time_tolerance_h_condition_id_a_condition_id_b"),
        ),
        schema="core",
        comment="Two conditions of different datasets: same compound, context and time, mutual-nearest dose",
    )
    op.create_index(op.f("ix_match_condition_id_a"), "match", ["condition_id_a"], unique=False, schema="core")
    op.create_index(op.f("ix_match_condition_id_b"), "match", ["condition_id_b"], unique=False, schema="core")
    op.create_index(
        op.f("ix_match_dataset_id_a_dataset_id_b"),
        "match",
        ["dataset_id_a", "dataset_id_b"],
        unique=False,
        schema="core",
    )
    op.create_index(op.f("ix_match_dataset_id_b"), "match", ["dataset_id_b"], unique=False, schema="core")
    op.create_index(op.f("ix_match_effect_id_a"), "match", ["effect_id_a"], unique=False, schema="core")
    op.create_index(op.f("ix_match_effect_id_b"), "match", ["effect_id_b"], unique=False, schema="core")
    op.create_table(
        "sample",
        sa.Column(
            "sample_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a sample: first 52 bits of SHA-256 over table name and natural key: the same on every machine; null for pooled effects",
        ),
        sa.Column("dataset_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Key of the dataset"),
        sa.Column("source_sample", sa.Text(), nullable=False, comment="The source's own key of the sample"),
        sa.Column(
            "plate_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of a plate: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("well", sa.Text(), nullable=True, comment="Well on the plate"),
        sa.Column(
            "condition_id",
            sa.BigInteger(),
            nullable=True,
            comment="Key of a condition: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "source_compound_id", sa.BigInteger(), nullable=True, comment="Key of the compound as its dataset wrote it"
        ),
        sa.Column(
            "context_id",
            sa.BigInteger(),
            nullable=False,
            comment="Key of a context: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "dose_fm",
            sa.BigInteger(),
            nullable=True,
            comment="Dose in femtomolar, exact; 0 for vehicle; null where no molar dose is known",
        ),
        sa.Column(
            "dose_um",
            sa.Double(),
            sa.Computed("(dose_fm)::double precision / '1000000000'::double precision", persisted=True),
            nullable=True,
            comment="Dose in micromolar, computed from dose_fm",
        ),
        sa.Column("time_h", sa.Double(), nullable=True, comment="Hours of exposure before harvest"),
        sa.Column(
            "stratum",
            sa.Text(),
            nullable=True,
            comment="Source-specific stratum fitted on its own (such as percent DMSO); null where none",
        ),
        sa.Column(
            "is_vehicle", sa.Boolean(), nullable=False, comment="True for vehicle: wells that got the solvent alone"
        ),
        sa.Column(
            "n_cells", sa.BigInteger(), nullable=True, comment="Cells pooled into the profile; null where not known"
        ),
        sa.Column(
            "n_counts",
            sa.BigInteger(),
            nullable=True,
            comment="Total counts of the profile as published; null for intensities",
        ),
        sa.Column(
            "in_fit", sa.Boolean(), nullable=False, comment="True where the sample is part of the dataset's default fit"
        ),
        sa.Column(
            "flags",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'::text[]"),
            nullable=False,
            comment="Why the sample is not in a fit: one code a reason",
        ),
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Further facts the source states, as published, by name",
        ),
        sa.CheckConstraint("n_cells >= 0", name=op.f("ck_sample_n_cells")),
        sa.CheckConstraint("n_counts >= 0", name=op.f("ck_sample_n_counts")),
        sa.ForeignKeyConstraint(["condition_id"], ["core.condition.condition_id"], name=op.f("fk_sample_condition_id")),
        sa.ForeignKeyConstraint(["context_id"], ["core.context.context_id"], name=op.f("fk_sample_context_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["core.dataset.dataset_id"], name=op.f("fk_sample_dataset_id")),
        sa.ForeignKeyConstraint(["plate_id"], ["core.plate.plate_id"], name=op.f("fk_sample_plate_id")),
        sa.ForeignKeyConstraint(
            ["source_compound_id"],
            ["core.source_compound.source_compound_id"],
            name=op.f("fk_sample_source_compound_id"),
        ),
        sa.PrimaryKeyConstraint("dataset_id", "sample_id", name=op.f("pk_sample")),
        sa.UniqueConstraint("dataset_id", "source_sample", name=op.f("uq_sample_dataset_id_source_sample")),
        schema="core",
        comment="One measured (or pseudobulk) profile: one well",
        postgresql_partition_by="LIST (dataset_id)",
    )
    op.create_index(op.f("ix_sample_condition_id"), "sample", ["condition_id"], unique=False, schema="core")
    op.create_index(op.f("ix_sample_context_id"), "sample", ["context_id"], unique=False, schema="core")
    op.create_index(op.f("ix_sample_plate_id"), "sample", ["plate_id"], unique=False, schema="core")
    op.create_index(op.f("ix_sample_sample_id"), "sample", ["sample_id"], unique=False, schema="core")
    op.create_index(op.f("ix_sample_source_compound_id"), "sample", ["source_compound_id"], unique=False, schema="core")
    op.create_table(
        "split_member",
        sa.Column(
            "split_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a split: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "condition_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a condition: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("fold", sa.Text(), nullable=False, comment="train, validation, test or another fold of the split"),
        sa.ForeignKeyConstraint(
            ["condition_id"],
            ["core.condition.condition_id"],
            name=op.f("fk_split_member_condition_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["split_id"], ["core.split.split_id"], name=op.f("fk_split_member_split_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("split_id", "condition_id", name=op.f("pk_split_member")),
        schema="core",
        comment="The fold of each condition in a split",
    )
    op.create_index(op.f("ix_split_member_condition_id"), "split_member", ["condition_id"], unique=False, schema="core")
    op.create_table(
        "agreement",
        sa.Column(
            "match_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a match: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column(
            "target_centroid",
            sa.Double(),
            nullable=True,
            comment="The same against the mean of other compounds at the partner's dataset, context, dose and time",
        ),
        sa.Column(
            "n_target_centroid",
            sa.Integer(),
            nullable=False,
            comment="Effects averaged in target centroids, both sides",
        ),
        sa.Column(
            "target_peer_mean",
            sa.Double(),
            nullable=True,
            comment="The same against single other compounds at the partner's dataset, context, dose and time: mean",
        ),
        sa.Column("target_peer_sd", sa.Double(), nullable=True, comment="Standard deviation over target peers (n - 1)"),
        sa.Column("target_peer_below", sa.Double(), nullable=True, comment="Fraction of target peers below the score"),
        sa.Column(
            "target_peer_percentile",
            sa.Double(),
            nullable=True,
            comment="(1 + target peers below the score) / (target peers + 1)",
        ),
        sa.Column(
            "target_peer_p",
            sa.Double(),
            nullable=True,
            comment="(1 + target peers at or above the score) / (target peers + 1)",
        ),
        sa.Column(
            "n_target_peers",
            sa.Integer(),
            nullable=False,
            comment="Target peers on which the statistic is defined, both sides",
        ),
        sa.Column(
            "is_capped", sa.Boolean(), nullable=False, comment="True where peers are a sample of a larger number"
        ),
        sa.Column(
            "parameters_id",
            sa.BigInteger(),
            nullable=False,
            comment="First 52 bits of SHA-256 over the parameters of the computation, which agreement_summary shows",
        ),
        sa.Column("metric", sa.Text(), nullable=False, comment="Statistic, such as spearman_log2_fc or direction_both"),
        sa.Column("n", sa.Integer(), nullable=False, comment="Genes the statistic was computed on"),
        sa.Column("score", sa.Double(), nullable=True, comment="Value of the statistic; null where undefined"),
        sa.Column(
            "source_centroid",
            sa.Double(),
            nullable=True,
            comment="The same against the mean of other compounds of the same dataset, context, dose and time",
        ),
        sa.Column(
            "n_source_centroid",
            sa.Integer(),
            nullable=False,
            comment="Effects averaged in source centroids, both sides",
        ),
        sa.Column(
            "source_peer_mean",
            sa.Double(),
            nullable=True,
            comment="The same against single other compounds of the same dataset, context, dose and time: mean",
        ),
        sa.Column("source_peer_sd", sa.Double(), nullable=True, comment="Standard deviation over source peers (n - 1)"),
        sa.Column("source_peer_below", sa.Double(), nullable=True, comment="Fraction of source peers below the score"),
        sa.Column(
            "source_peer_percentile",
            sa.Double(),
            nullable=True,
            comment="(1 + source peers below the score) / (source peers + 1)",
        ),
        sa.Column(
            "source_peer_p",
            sa.Double(),
            nullable=True,
            comment="(1 + source peers at or above the score) / (source peers + 1)",
        ),
        sa.Column(
            "n_source_peers",
            sa.Integer(),
            nullable=False,
            comment="Source peers on which the statistic is defined, both sides",
        ),
        sa.ForeignKeyConstraint(
            ["match_id"], ["core.match.match_id"], name=op.f("fk_agreement_match_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("match_id", "metric", name=op.f("pk_agreement")),
        schema="core",
        comment="One statistic of a match with its four baselines; of two sides the mean of those defined",
    )
    op.create_index(op.f("ix_agreement_metric"), "agreement", ["metric"], unique=False, schema="core")
    op.create_index(op.f("ix_agreement_parameters_id"), "agreement", ["parameters_id"], unique=False, schema="core")
    op.create_table(
        "replicate_agreement",
        sa.Column(
            "condition_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Key of a condition: first 52 bits of SHA-256 over table name and natural key: the same on every machine",
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False, comment="Key of the dataset"),
        sa.Column("n_pairs", sa.Integer(), nullable=False, comment="Pairs of replicates compared"),
        sa.Column(
            "is_capped", sa.Boolean(), nullable=False, comment="True where peers are a sample of a larger number"
        ),
        sa.Column(
            "parameters_id",
            sa.BigInteger(),
            nullable=False,
            comment="First 52 bits of SHA-256 over the parameters of the computation, which agreement_summary shows",
        ),
        sa.Column("metric", sa.Text(), nullable=False, comment="Statistic, such as spearman_log2_fc or direction_both"),
        sa.Column("n", sa.Integer(), nullable=False, comment="Genes the statistic was computed on"),
        sa.Column("score", sa.Double(), nullable=True, comment="Value of the statistic; null where undefined"),
        sa.Column(
            "source_centroid",
            sa.Double(),
            nullable=True,
            comment="The same against the mean of other compounds of the same dataset, context, dose and time",
        ),
        sa.Column(
            "n_source_centroid",
            sa.Integer(),
            nullable=False,
            comment="Effects averaged in source centroids, both sides",
        ),
        sa.Column(
            "source_peer_mean",
            sa.Double(),
            nullable=True,
            comment="The same against single other compounds of the same dataset, context, dose and time: mean",
        ),
        sa.Column("source_peer_sd", sa.Double(), nullable=True, comment="Standard deviation over source peers (n - 1)"),
        sa.Column("source_peer_below", sa.Double(), nullable=True, comment="Fraction of source peers below the score"),
        sa.Column(
            "source_peer_percentile",
            sa.Double(),
            nullable=True,
            comment="(1 + source peers below the score) / (source peers + 1)",
        ),
        sa.Column(
            "source_peer_p",
            sa.Double(),
            nullable=True,
            comment="(1 + source peers at or above the score) / (source peers + 1)",
        ),
        sa.Column(
            "n_source_peers",
            sa.Integer(),
            nullable=False,
            comment="Source peers on which the statistic is defined, both sides",
        ),
        sa.ForeignKeyConstraint(
            ["condition_id"],
            ["core.condition.condition_id"],
            name=op.f("fk_replicate_agreement_condition_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["core.dataset.dataset_id"],
            name=op.f("fk_replicate_agreement_dataset_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("condition_id", "metric", name=op.f("pk_replicate_agreement")),
        schema="core",
        comment="One statistic between replicates of a condition, mean over pairs, with its baselines",
    )
    op.create_index(
        op.f("ix_replicate_agreement_dataset_id_metric"),
        "replicate_agreement",
        ["dataset_id", "metric"],
        unique=False,
        schema="core",
    )
    for table, columns in VALUES.items():
        for column in columns:
            op.execute(f"ALTER TABLE core.{table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
            op.execute(f"ALTER TABLE core.{table} ALTER COLUMN {column} SET STATISTICS 0")
    for table, column in KEYS:
        op.execute(f"ALTER TABLE core.{table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE core.dataset ALTER COLUMN dataset SET (n_distinct = 12)")
    op.execute(VERSION_TABLE)
    op.execute(TRIGGERS)
    op.execute("GRANT USAGE ON SCHEMA core, pbdb TO pbdb_reader, pbdb_public")
    for table in (*TABLES, "alembic_version"):
        op.execute(f"GRANT SELECT ON core.{table} TO pbdb_reader, pbdb_public")
    for table, visible in VISIBLE.items():
        op.execute(f"ALTER TABLE core.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY reader ON core.{table} FOR SELECT TO pbdb_reader USING (true)")
        op.execute(f"CREATE POLICY public ON core.{table} FOR SELECT TO pbdb_public USING ({visible})")


def downgrade() -> None:
    op.execute("DROP TRIGGER set_compound_name ON core.source_compound")
    op.execute("DROP TRIGGER pass_compound_name ON core.compound")
    op.execute("DROP FUNCTION core.set_compound_name(), core.pass_compound_name()")
    # Policies look at other tables.
    for table in VISIBLE:
        op.execute(f"DROP POLICY public ON core.{table}")
    for table in reversed(TABLES):
        op.drop_table(table, schema="core")
