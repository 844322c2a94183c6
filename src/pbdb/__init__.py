"""pbdb: the harmonised relational database of small-molecule perturbation transcriptomics."""

from importlib.metadata import version

__version__ = version("pbdb")
