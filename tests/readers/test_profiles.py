"""Matrices and sheets of anyone's plates, and tables of cells, that do not hold what they must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pbdb.common.errors import DataError, VocabularyError
from pbdb.identity.contexts.published_tables import read_cells
from pbdb.readers import paired
from pbdb.readers.matrices import Profiles


@pytest.mark.parametrize(("samples", "words"), [(["A1"], "holds 'x', the matrix 'A1'"), ([], "the matrix nothing")])
def test_a_sheet_and_a_matrix_that_share_nothing_are_told(samples: list[str], words: str) -> None:
    names, genes = np.array(samples, dtype=object), np.array(["g"], dtype=object)
    with pytest.raises(DataError, match=f"share no sample: .*{words}; name the column"):
        paired(Profiles(names, genes, sp.csr_matrix((len(names), 1))), pd.DataFrame({"well": ["x"]}), "well")


def test_a_table_of_cells_without_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.tsv").write_text("ModelID\tRRID\nACH-1\tCVCL_0023\n")
    with pytest.raises(VocabularyError, match="has no column of names of cells"):
        read_cells(tmp_path / "names.tsv")
