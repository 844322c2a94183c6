"""Levels of identity at which two compounds are the same; apart from the models, so that commands list them quickly."""

LEVELS = ("inchikey", "parent_inchikey", "skeleton", "pubchem_cid")
