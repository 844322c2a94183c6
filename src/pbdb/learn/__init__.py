"""Learning on the compendium: embeddings that say how sure they are, and their evaluation.

`models` is pure (arrays in, arrays out); the modules beside it read and write files and the database.
"""
