"""Folders of a sparse matrix and its lists of names: 10x, STARsolo, kb-python."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pbdb.common.errors import DataError
from pbdb.readers.opening import open_bytes, open_text

GENE_EXPRESSION = "Gene Expression"
OF_KB = ("cells_x_genes.mtx", "cells_x_genes.genes.txt", "cells_x_genes.barcodes.txt")


def read_folder(folder: Path) -> tuple[list[str], list[str], Any]:
    """Names of samples, names of genes, and the values (samples x genes, sparse) of a folder.

    Of features with types in their third column only genes are read; where none says `Gene Expression` the column is
    none of types (STARsolo and others write `gene` or a biotype there), and all are.

    Raises:
        DataError: a file is not there, or they do not belong together.
    """
    matrix, names_of_features, names_of_samples = tenx_files(folder)
    features = list(_lines(names_of_features))
    barcodes = [line[0] for line in _lines(names_of_samples) if line]
    values = _values(matrix, transposed=matrix.name.removesuffix(".gz") != OF_KB[0])
    if values.shape != (len(barcodes), len(features)):
        raise DataError(
            f"The matrix of '{folder.name}' has {values.shape[1]} genes and {values.shape[0]} samples, its lists of "
            f"names {len(features)} and {len(barcodes)}: the three files do not belong together.",
            file=folder.name,
        )
    has_types = any(line[2:3] == [GENE_EXPRESSION] for line in features)
    chosen = [at for at, line in enumerate(features) if not has_types or line[2:3] in ([], [GENE_EXPRESSION])]
    return barcodes, [features[at][0] for at in chosen], values[:, chosen]


def _values(matrix: Path, transposed: bool) -> Any:
    import scipy.sparse as sp
    from scipy.io import mmread

    with open_bytes(matrix) as file:
        stored = sp.coo_array(mmread(file))
    return sp.csc_array(stored.T if transposed else stored)


def _lines(path: Path) -> Iterator[list[str]]:
    with open_text(path, newline="") as text:
        yield from csv.reader(text, delimiter="\t")


def tenx_files(folder: Path) -> tuple[Path, Path, Path]:
    """Find the matrix, the features and the samples of a folder.

    Raises:
        DataError: one of them is not there.
    """
    if _there(folder, OF_KB[0]):
        matrix, features, samples = (_part(folder, name) for name in OF_KB)
        return matrix, features, samples
    names = _part(folder, "features.tsv", "genes.tsv"), _part(folder, "barcodes.tsv")
    return _part(folder, "matrix.mtx"), *names


def _there(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def _part(folder: Path, *names: str) -> Path:
    """Find one file of a folder, plain or gzipped."""
    for name in names:
        if path := _there(folder, name):
            return path
    inside = sorted(path.parent for path in folder.glob("*/*.mtx*"))
    hint = f"; did you mean '{inside[0]}'?" if inside else "."
    raise DataError(
        f"The folder '{folder.name}' has no {names[0]} (or {names[0]}.gz): it is no 10x matrix folder{hint}",
        file=folder.name,
    )
