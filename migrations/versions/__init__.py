"""Revisions: tables only, never views."""
