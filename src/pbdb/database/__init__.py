"""The tables and their words: models, migrations' door, views, roles, COPY, dictionary, backup."""
