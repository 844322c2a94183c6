"""Matched conditions of two datasets, and how far they agree."""
