"""Releases as folders: built, opened, verified, compared, restored."""
