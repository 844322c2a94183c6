"""Differential expression: the engine, and the two ways into it, a dataset's fits and anyone's plates."""
