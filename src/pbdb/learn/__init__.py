"""Learning on the compendium: splits that do not leak, embeddings that say how sure they are, their evaluation.

`models` is pure (arrays in, arrays out); the modules beside it read and write files and the database.
"""
