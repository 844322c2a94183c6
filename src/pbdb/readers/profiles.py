"""One matrix and one sample sheet of anyone's plates: read, and paired by the name of the sample."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.typed_cells import cell_or_none, one_spelling
from pbdb.readers import matrices
from pbdb.readers.annotations import Annotations
from pbdb.readers.bombs import plausible, unpacked
from pbdb.readers.handwritten import grids
from pbdb.readers.handwritten.pairing import of_matrix
from pbdb.readers.handwritten.quantities import tidied
from pbdb.readers.handwritten.sheets import alike
from pbdb.readers.matrices import Profiles
from pbdb.readers.opening import DAMAGED
from pbdb.readers.profile_block import ProfileBlock
from pbdb.readers.tables import MISSING, damaged, missing

TENX_MATRIX = ("matrix.mtx", "matrix.mtx.gz", "cells_x_genes.mtx", "cells_x_genes.mtx.gz")


def counts(path: Path) -> Profiles:
    """Read a matrix of counts: text, Parquet or h5ad, or the matrix.mtx of a 10x folder with its lists of names."""
    return matrices.read(_place(path), sparse=True)


def intensities(path: Path) -> Profiles:
    """Read a matrix of log2 intensities, as `counts` does."""
    return matrices.read(_place(path), sparse=False)


def _place(path: Path) -> Path:
    """The folder of a 10x matrix, or the file itself."""
    return path.parent if path.name in TENX_MATRIX else path


def xlsx(path: Path) -> pd.DataFrame:
    """Read the first sheet of a workbook as text, headings in its first row; an empty cell and NA are missing.

    A merged cell counts for every row it covers.

    Raises:
        SourceError: there is no such file.
        DataError: it is no workbook, or two columns have one name.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    if not path.is_file():
        raise missing(path)
    try:
        grid = grids.of_worksheet(path, CalamineWorkbook.from_path(path).get_sheet_by_index(0))
    except (CalamineError, OSError, ValueError) as problem:
        raise damaged(path, problem) from None
    used = list(dropwhile(lambda row: not any(row), (row for _, row in grid.rows))) or [[]]
    left = min((at for row in used for at, cell in enumerate(row) if cell), default=0)
    first, *rows = (row[left:] for row in used)
    names = [_cell(cell) or "" for cell in first]
    twice = [name for name, n in Counter(names).items() if name and n > 1]
    if twice:
        raise DataError(
            f"The file '{path.name}' has the column '{twice[0]}' more than once.", file=path.name, column=twice[0]
        )
    return pd.DataFrame([[_cell(cell) for cell in row] for row in rows], columns=pd.Index(names), dtype=object)


def _cell(cell: str) -> str | None:
    """A cell without blanks at its ends; None where it is empty."""
    text = cell.strip()
    return None if text in MISSING else text


def obs(path: Path) -> pd.DataFrame:
    """Read the samples of an h5ad of any version as a sheet of text; their names are the column `obs_name`."""
    import h5py

    try:
        with unpacked(path) as plain, h5py.File(plausible(plain)) as file:
            table = Annotations(file, "obs")
            cells = {str(name): _text(table.column(name)) for name in table.columns}
            names = [str(name) for name in table.names()]
    except DAMAGED as problem:
        raise DataError(
            f"The samples of '{path.name}' cannot be read ({problem}): it is no h5ad.", file=path.name
        ) from None
    text, _ = tidied(pd.DataFrame(cells, index=range(len(names)), dtype=object))
    return text.assign(obs_name=names)


def _text(column: pd.Series[Any]) -> list[str | None]:
    return [None if absent else cell_or_none(str(value)) for value, absent in zip(column, pd.isna(column), strict=True)]


def paired(profiles: Profiles, sheet: pd.DataFrame, key: str, gene: str | None = None) -> ProfileBlock:
    """Make a block of the samples that matrix and sheet share, in the order of the matrix.

    key: column of the sheet that holds the names of the matrix. Others are counted, `no_matrix_column` and
    `no_sheet_row`. gene: pattern whose first group is the gene's name within a feature's; one that does not match
    stays as it is.

    Raises:
        DataError: they share no sample, or a shared one has several rows in the sheet.
    """
    import scipy.sparse as sp

    written = sheet[key].str.strip()
    same, _ = of_matrix(written.dropna().tolist(), profiles.samples.tolist())
    rows = sheet.assign(**{key: written.map(same).where(written.isin(list(same)), written)}).set_index(key, drop=False)
    known = rows.index[rows.index.isin(profiles.samples)]
    if known.has_duplicates:
        name = known[known.duplicated()][0]
        raise DataError(
            f"The sample '{name}' has several rows in the sheet ({alike(rows.loc[[name]])}): give one for each column "
            "of the matrix.",
            value=name,
        )
    if known.empty:
        raise DataError(_nothing_shared(profiles, sheet[key], key), column=key)
    shared = np.flatnonzero(np.isin(profiles.samples.astype(str), known.astype(str)))
    values = profiles.values[shared]
    left_out = {"no_matrix_column": len(rows) - len(known), "no_sheet_row": len(profiles.samples) - len(shared)}
    return ProfileBlock(
        rows.loc[profiles.samples[shared].tolist()].reset_index(drop=True),
        sp.csr_matrix(values) if sp.issparse(values) else np.ascontiguousarray(values),
        _names(profiles.genes, gene),
        {reason: n for reason, n in left_out.items() if n},
        {"no_gene": len(profiles.left_out)} if profiles.left_out else {},
    )


def _nothing_shared(profiles: Profiles, column: pd.Series[Any], key: str) -> str:
    both = (column.dropna().tolist(), profiles.samples)
    in_sheet, in_matrix = (f"'{names[0]}'" if len(names) else "nothing" for names in both)
    return (
        f"The sheet and the matrix share no sample: the column '{key}' holds {in_sheet}, the matrix {in_matrix}; name "
        "the column that holds the matrix's names."
    )


def _names(features: matrices.Names, gene: str | None) -> matrices.Names:
    if gene is None:
        return features
    found = (re.fullmatch(gene, name) for name in features)
    return np.array([match[1] if match else name for match, name in zip(found, features, strict=True)], dtype=object)


def compounds_of(sheet: pd.DataFrame, key: str, columns: Sequence[str]) -> pd.DataFrame:
    """Make a compound table from a sample sheet: a row for each compound, with what any of its samples says.

    Raises:
        DataError: two samples of a compound say different things.
    """
    stated = sheet[[key, *columns]].dropna(subset=[key])
    names = stated[key].str.strip()
    groups = stated.assign(**{key: names.replace(one_spelling(names))}).groupby(key, sort=True)
    for name, several in (groups[list(columns)].nunique() > 1).items():
        if several.any():
            raise DataError(
                f"The compound '{several.idxmax()}' has several values of '{name}' in the sheet: give one.", value=name
            )
    return groups[list(columns)].first().reset_index()
