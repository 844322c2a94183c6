"""The vocabulary of a source's file under a short name: `from pbdb.source import Source, Dataset, ...`."""

import sys
from typing import TYPE_CHECKING, Any

from pbdb.readers.profile_block import ProfileBlock
from pbdb.sources import old_names
from pbdb.sources.declaration import (
    DEFAULT_METHOD,
    EVERY_CELL,
    FEW_CELLS,
    FILL_IN,
    Access,
    Assay,
    CellFilter,
    Column,
    CompoundColumns,
    Constant,
    Context,
    Dataset,
    Features,
    File,
    Files,
    Flag,
    Mapped,
    Method,
    Pseudobulk,
    Readout,
    SampleColumns,
    Source,
    check_columns,
    col,
    const,
)

__all__ = [
    "DEFAULT_METHOD",
    "EVERY_CELL",
    "FEW_CELLS",
    "FILL_IN",
    "Access",
    "Assay",
    "CellFilter",
    "Column",
    "CompoundColumns",
    "Constant",
    "Context",
    "Dataset",
    "Features",
    "File",
    "Files",
    "Flag",
    "Mapped",
    "Method",
    "ProfileBlock",
    "Pseudobulk",
    "Readout",
    "SampleColumns",
    "Source",
    "check_columns",
    "col",
    "const",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Old names, for one release."""
        if name not in old_names.CLASSES:
            raise AttributeError(f"module 'pbdb.source' has no attribute '{name}'")
        old_names.warn(name, old_names.CLASSES[name])
        return getattr(sys.modules[__name__], old_names.CLASSES[name])
