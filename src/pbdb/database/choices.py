"""Words that a column may hold; apart from the models, so that commands can list them without SQLAlchemy."""

LEVELS = ("inchikey", "parent_inchikey", "skeleton", "pubchem_cid")
"""Levels of identity at which two compounds are the same."""
SPLIT_KINDS = ("compound", "scaffold", "context", "dataset", "published", "attribute", "transfer")
