"""What readers and the `blocks` of a source hand on: some raw profiles with the table that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp


@dataclass(frozen=True)
class ProfileBlock:
    """Some raw profiles: a table of raw columns, the matrix (rows alike, features as columns), feature names.

    left_out: profiles that were passed over on the way here, by reason; features_left_out: features of the file that
    are not among those of the block. cells: single cells that were read for this block, and cells_left_out those of
    them that are in no sample, by reason. expressing: cells of each sample in which a feature was counted at all, where
    the samples are pooled cells. facts: what was decided by looking at all that is loaded together (thresholds, say);
    the ledger keeps them.
    """

    samples: pd.DataFrame
    matrix: sp.csr_matrix | np.ndarray[Any, Any]
    features: np.ndarray[Any, Any]
    left_out: Mapping[str, int] = field(default_factory=dict)
    features_left_out: Mapping[str, int] = field(default_factory=dict)
    cells: int = 0
    cells_left_out: Mapping[str, int] = field(default_factory=dict)
    expressing: sp.csr_matrix | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
