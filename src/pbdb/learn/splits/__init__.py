"""Divisions of the conditions into folds for training, without leaks."""
