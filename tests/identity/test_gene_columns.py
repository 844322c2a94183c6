"""Counts brought to the columns of their genes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pbdb.common.errors import DataError
from pbdb.effects.engine import gather
from pbdb.identity.genes.columns import moved


@pytest.mark.parametrize("columns", [[2, 0, 2, -1, 3, 1], [4, 0, -1, 3, 2, 1]], ids=["summed", "none summed"])
def test_counts_become_what_a_product_makes_of_them(columns: list[int]) -> None:
    product = np.zeros((6, 5), dtype=np.int64)
    for source, target in enumerate(columns):
        product[source, target] = target >= 0
    stored = sparse.csr_array(np.random.default_rng(0).integers(0, 3, (40, 6)).astype(np.uint16))
    stored.data[::5] = 0
    found = moved(stored, np.array(columns, dtype=np.int32), 5)
    np.testing.assert_array_equal(found.toarray(), stored.toarray() @ product)
    assert (found.format, found.dtype, found.has_canonical_format) == ("csr", np.uint16, True)
    assert found.data.all()


@pytest.mark.parametrize("place", [-1, 3])
def test_counts_of_a_gene_that_is_not_there_are_refused(place: int) -> None:
    damaged = sparse.csr_array((2, 3), dtype=np.int32)
    damaged.data, damaged.indices, damaged.indptr = (np.array(x, np.int32) for x in ([7, 1], [place, 0], [0, 1, 2]))
    for reads in (lambda matrix: moved(matrix, np.arange(3), 3), lambda matrix: gather(lambda: [matrix])):
        with pytest.raises(DataError, match=f"of gene {place} .from 0., and there are 3"):
            reads(damaged)
