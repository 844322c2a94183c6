"""Alembic revisions of the tables, and the door they go through."""
