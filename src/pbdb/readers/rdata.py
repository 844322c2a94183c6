"""Files of R's save(): DRUG-seq plates as a stream, small objects as pandas and NumPy ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pbdb.common.errors import DataError
from pbdb.readers.ritems import Item, Items, Sparse, open_items
from pbdb.readers.rstream import NA_INTEGER

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["Plate", "objects", "plates"]

_COUNTS, _ANNOTATION = "UMI.counts", "Annotation"


@dataclass(frozen=True)
class Plate:
    """One plate as its file holds it: genes and wells in the file's order, annotation rows in their own.

    counts: wells x genes (CSR, int32, or int64 where a count needs it). genes, wells: their names (text).
    annotation: one row a well, indexed by its row names; factors as text, missing text as None.
    batch, plate: `batch_id` and `plate_barcode` of the annotation, as text.
    """

    batch: str
    plate: str
    counts: sparse.csr_matrix
    genes: NDArray[np.object_]
    wells: NDArray[np.object_]
    annotation: pd.DataFrame


def plates(path: str | Path, name: str = "Exp") -> Iterator[Plate]:
    """Read a nested list batch -> plate -> (UMI.counts, Annotation), one plate in memory at a time.

    Raises:
        DataError: not an RData file, damaged, of another structure, or counts that are missing, fractional or
            negative. Plates before the fault have been given out by then.
        SourceError: there is no such file.
    """
    path, held = Path(path), []
    with open_items(path) as items:
        for variable, flags in items.variables():
            held.append(variable)
            if variable == name:
                yield from _batches(items, flags, path)
            else:
                items.body(flags)
        items.finish()
    _all_there(path, {name}, held)


def objects(path: str | Path, names: Collection[str] | None = None) -> dict[str, Any]:
    """Read saved objects by name (all by default); the others are passed over.

    A data.frame becomes a DataFrame, a matrix an array or (with both dimnames) a DataFrame, a vector an array
    or (with names) a Series, a factor text, a list a dict or (without names) a list; what has no counterpart
    (a function, an environment) stays an `Item`. Integers and logicals with NA become pandas' nullable arrays.

    Raises:
        DataError: not an RData file, damaged, or without one of the objects.
        SourceError: there is no such file.
    """
    path, by_name = Path(path), {}
    with open_items(path) as items:
        for variable, flags in items.variables():
            item = items.body(flags)
            if names is None or variable in names:
                by_name[variable] = _converted(item, f"{path}: {variable}")
        items.finish()
    _all_there(path, names or (), by_name)
    return by_name


def _all_there(path: Path, names: Collection[str], held: Collection[str]) -> None:
    if missing := sorted(set(names) - set(held)):
        listed = ", ".join(sorted(held)) or "nothing"
        raise DataError(
            f"{path} has no object {', '.join(missing)}, only {listed}: check which file this is.", file=str(path)
        )


def _batches(items: Items, flags: int, path: Path) -> Iterator[Plate]:
    """Give out every plate; the names of lists follow their content, so they are compared at the end."""
    for batch_flags in items.elements(flags, "a list of batches"):
        barcodes: list[str] = []
        for plate_flags in items.elements(batch_flags, "a list of plates"):
            plate = _plate(items.body(plate_flags), path)
            barcodes.append(plate.plate)
            yield plate
        _same_names(barcodes, _names(items.attributes(batch_flags)), path)
    items.attributes(flags)


def _same_names(barcodes: list[str], names: list[str | None] | None, path: Path) -> None:
    if names is None:
        return
    for barcode, name in zip_longest(barcodes, names, fillvalue=""):
        if _letters(barcode) != _letters(name or ""):
            raise DataError(
                f"{path}: the plate listed as '{name}' is annotated as plate_barcode '{barcode}': "
                "plates and annotations are mixed up; fetch the file again.",
                file=str(path),
                value=name,
            )


def _letters(text: str) -> str:
    """Letters and digits alone: R and the annotation may write blanks and dashes differently."""
    return "".join(filter(str.isalnum, text))


def _plate(item: Item, path: Path) -> Plate:
    parts = dict(zip(_names(item.attributes) or (), item.value or (), strict=False))
    if item.kind != "list" or not parts.keys() >= {_COUNTS, _ANNOTATION}:
        raise DataError(
            f"{path} holds a plate without {_COUNTS} and {_ANNOTATION}: check which file this is.", file=str(path)
        )
    annotation = _converted(parts[_ANNOTATION], f"{path}: {_ANNOTATION}")
    if not isinstance(annotation, pd.DataFrame):
        raise DataError(
            f"{path} holds a plate whose {_ANNOTATION} is not a data.frame: check which file this is.", file=str(path)
        )
    plate = _only(annotation, "plate_barcode", path)
    where = f"{path}: plate {plate}"
    with _well_formed(where):
        counts, genes, wells = _counts(parts[_COUNTS], where)
    return Plate(_only(annotation, "batch_id", path), plate, counts, genes, wells, annotation)


def _only(annotation: pd.DataFrame, column: str, path: Path) -> str:
    different = [str(value) for value in annotation[column].unique()] if column in annotation else []
    if len(different) != 1:
        shown = ", ".join(different[:3]) or "none"
        raise DataError(
            f"{path}: a plate's annotation needs one {column} for all its wells, not {shown}.", file=str(path)
        )
    return different[0]


def _counts(item: Item, where: str) -> tuple[sparse.csr_matrix, NDArray[np.object_], NDArray[np.object_]]:
    """Wells x genes from R's genes x wells, whose columns lie one after the other."""
    from scipy import sparse

    genes, wells = _dimnames(item, where)
    numbers = item.value
    values, wrong = _whole(numbers.values)
    if len(wrong):
        well, gene = divmod(int(numbers.positions[wrong[0]]), len(genes))
        raise DataError(
            f"{where}, gene {genes[gene]}, well {wells[well]}: a count is {_shown(numbers.values[wrong[0]])} "
            f"(one of {len(wrong)} such), but counts are whole numbers from 0; check which matrix this is.",
            file=where,
        )
    column = (numbers.positions % len(genes)).astype(np.int32)
    ends = np.searchsorted(numbers.positions, len(genes) * np.arange(len(wells) + 1))
    counts = sparse.csr_matrix((values, column, ends), shape=(len(wells), len(genes)))
    counts.eliminate_zeros()  # a negative zero is stored by R as such
    return counts, genes, wells


def _shown(value: np.generic) -> str:
    return "NA" if np.isnan(value) or value == NA_INTEGER else str(value)


def _whole(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The values as integers, and where they are none (NA, fractional, negative, beyond 2^53)."""
    good = (values >= 0) & (values < 2**53)
    small = bool(np.all(values < 2**31, where=good))
    rounded = np.where(good, values, 0).astype(np.int32 if small else np.int64)
    return rounded, np.flatnonzero(~good | (rounded != values))


def _dimnames(item: Item, where: str) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Names of rows and columns, which must fit the matrix."""
    if item.kind not in ("double", "integer") or not isinstance(item.value, Sparse):
        raise DataError(
            f"{where}: {_COUNTS} holds no numbers but R type {item.kind}; check which file this is.", file=where
        )
    shape = tuple(_values(item.attributes["dim"])) if "dim" in item.attributes else ()
    named = item.attributes.get("dimnames", Item("list", ()))
    names = [_text(part) for part in named.value if part.kind == "character"]
    if shape != tuple(map(len, names)) or np.prod(shape, dtype=np.int64) != item.value.length:
        raise DataError(
            f"{where}: {_COUNTS} is not a matrix with a name for every gene and well; check the file.", file=where
        )
    return names[0], names[1]


def _names(attributes: dict[str, Item]) -> list[str | None] | None:
    names = attributes.get("names")
    return names.value if names is not None and names.kind == "character" else None


def _text(item: Item) -> NDArray[np.object_]:
    return np.array(item.value, dtype=object)


def _values(item: Item) -> NDArray[Any]:
    return item.value.dense() if isinstance(item.value, Sparse) else item.value


@contextmanager
def _well_formed(where: str) -> Iterator[None]:
    """Say in one sentence that parts do not fit together, as in a damaged file."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where} is malformed ({error}): fetch the file again.", file=where) from error


def _converted(item: Item, where: str) -> Any:
    """The pandas or NumPy counterpart of an R object."""
    with _well_formed(where):
        return _python(item, where)


def _python(item: Item, where: str) -> Any:
    if item.kind == "null":
        return None
    if item.kind == "symbol":
        return item.value
    if item.kind == "pairlist":
        tags = [tag for tag, _ in item.value]
        return _collection(tags if any(tags) else None, [part for _, part in item.value], where)
    if item.kind in ("list", "expression"):
        frame = "data.frame" in _classes(item)
        return _frame(item, where) if frame else _collection(_names(item.attributes), item.value, where)
    if item.kind in _VECTORS:
        return _shaped(item, _vector(item))
    return item


def _collection(names: list[str | None] | None, parts: list[Item], where: str) -> Any:
    if names is None:
        return [_python(part, where) for part in parts]
    if len(set(names)) < len(names):
        raise DataError(
            f"{where} is a list with two elements of one name: rename them in R and save again.", file=where
        )
    return {name: _python(part, f"{where}${name}") for name, part in zip(names, parts, strict=True)}


def _frame(item: Item, where: str) -> pd.DataFrame:
    """A data.frame; row names that only count the rows become a plain range."""
    columns = [_vector(part) if part.kind in _VECTORS else _python(part, where) for part in item.value]
    rows = item.attributes.get("row.names", Item("character", []))
    index = _text(rows) if rows.kind == "character" else pd.RangeIndex(_n_rows(_values(rows)))
    if any(np.shape(column)[:1] != (len(index),) for column in columns):
        raise DataError(f"{where} is a data.frame whose columns differ in length: save it again.", file=where)
    frame = pd.DataFrame(dict(enumerate(columns)), index=index)
    return frame.set_axis(_names(item.attributes) or [], axis=1)


def _n_rows(row_names: NDArray[Any]) -> int:
    """R writes 1..n as (NA, -n) or (NA, n)."""
    compact = len(row_names) == 2 and row_names[0] == NA_INTEGER
    return abs(int(row_names[1])) if compact else len(row_names)


def _classes(item: Item) -> set[str]:
    return set(item.attributes["class"].value) if "class" in item.attributes else set()


def _vector(item: Item) -> Any:
    """One-dimensional values by R's class or, without one, its type."""
    classes = _classes(item)
    if "factor" in classes:
        return _labels(_values(item), item.attributes["levels"].value)
    if "Date" in classes:
        return _days(_values(item), 86_400).astype("datetime64[D]")
    if "POSIXct" in classes:
        return _days(_values(item), 1)
    return _VECTORS[item.kind](item)


def _labels(codes: NDArray[np.int32], levels: list[str | None]) -> NDArray[np.object_]:
    known = np.where(codes == NA_INTEGER, 0, codes)
    if known.min(initial=0) < 0:
        raise ValueError("a factor with a negative code")
    return np.array([None, *levels], dtype=object)[known]


def _days(values: NDArray[Any], seconds: int) -> NDArray[np.datetime64]:
    """Times in UTC, to the microsecond, from counts of so many seconds since 1970."""
    missing = np.isnan(values) if values.dtype.kind == "f" else values == NA_INTEGER
    micros = np.where(missing, 0, values).astype(np.float64) * seconds * 1e6
    times = np.rint(micros).astype("int64").astype("datetime64[us]")
    return np.where(missing, np.datetime64("NaT"), times)


def _integers(item: Item) -> Any:
    values = _values(item)
    missing = values == NA_INTEGER
    return pd.arrays.IntegerArray(values, missing) if missing.any() else values


def _logicals(item: Item) -> Any:
    values = _values(item)
    missing = values == NA_INTEGER
    return pd.arrays.BooleanArray(values != 0, missing) if missing.any() else values != 0


_VECTORS: dict[str, Callable[[Item], Any]] = {
    "double": _values,
    "integer": _integers,
    "logical": _logicals,
    "character": _text,
    "complex": _values,
    "raw": lambda item: np.frombuffer(item.value, np.uint8),
}


def _shaped(item: Item, vector: Any) -> Any:
    """The vector with its dim and names."""
    if "dim" in item.attributes:
        return _matrix(item, np.asarray(vector))
    names = _names(item.attributes)
    return vector if names is None else pd.Series(vector, index=names)


def _matrix(item: Item, vector: NDArray[Any]) -> NDArray[Any] | pd.DataFrame:
    array = vector.reshape(tuple(_values(item.attributes["dim"])), order="F")
    named = item.attributes.get("dimnames", Item("list", ())).value
    names = [part.value for part in named if part.kind == "character"]
    return pd.DataFrame(array, *names) if len(names) == array.ndim == 2 else array
