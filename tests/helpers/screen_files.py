"""A matrix and a sheet of a small screen, as a lab writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pbdb.identity.contexts.resolve import ContextVocabulary

GENES = [f"ENSG{at:011d}" for at in range(900_000, 900_040)]


def sheet(**changes: object) -> pd.DataFrame:
    """Six wells of DMSO and six of a drug, as a lab writes them."""
    drugs = ["DMSO", "torin 1"] * 6
    made = {"Sample": [f"s{at}" for at in range(12)], "Plate": "P1", "Drug": drugs, "Dose_uM": ["0", "10"] * 6}
    return pd.DataFrame(made | {"Hours": "24", "Cell line": "MCF7"} | changes)


def counts(names: list[str] = GENES) -> pd.DataFrame:
    values = np.random.default_rng(1).poisson(50, (len(names), 12))
    return pd.DataFrame(values, names, [f"s{at}" for at in range(12)])


KNOWN = ContextVocabulary(
    pd.DataFrame({"context": ["CVCL:0031"], "context_name": ["MCF-7"], "kind": ["cell_line"], "organism": ["human"]}),
    pd.DataFrame({"synonym": ["MCF7"], "context": ["CVCL:0031"]}),
)
