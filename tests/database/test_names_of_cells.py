"""What cells are called is decided by the data set that had them first."""

from __future__ import annotations

import pandas as pd
from rows import add_genes, add_world
from sqlalchemy import Connection

from pbdb.loading.publish import _with_names_in_use


def test_no_load_renames_the_cells_of_another(connection: Connection) -> None:
    add_genes(connection)
    add_world(connection, 1000, "one", is_redistributable=True)
    stated = pd.DataFrame({"context_id": [1, 2], "context_name": ["another name", "new cells"]})
    for dataset, named in ((2000, ["CVCL:0001", "new cells"]), (1000, ["another name", "new cells"])):
        found = _with_names_in_use(connection, stated, {"dataset_id": dataset})
        assert found["context_name"].tolist() == named
