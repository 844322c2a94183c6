"""A trained model as a folder: vectors as Parquet, what predicts as arrays, a manifest that says how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.errors import DataError, first_line
from pbdb.common.rows import Json
from pbdb.learn.models.context_means import ContextMeans
from pbdb.learn.models.lowrank import LowRank
from pbdb.learn.models.structure import StructureMap

EMBEDDING, MODEL, MANIFEST, HELD_OUT = "embedding.parquet", "model.npz", "manifest.json", "held_out.parquet"
FORMAT = 1
SCHEMA = pa.schema(
    [("parent_inchikey", pa.string()), ("skeleton", pa.string()), ("compound_name", pa.string())]
    + [("vector", pa.list_(pa.float32())), ("reliability", pa.float32())]
    + [(f"n_{what}", pa.int32()) for what in ("effects", "datasets", "contexts")]
    + [("from_structure", pa.bool_())]
)

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Predictor:
    """What predicts: the low-rank model, the means it is added to, slope and scale of each dataset, and names."""

    model: LowRank
    means: ContextMeans
    slope: dict[str, float]
    scale: dict[str, float]
    genes: tuple[str, ...]
    compounds: tuple[str, ...]
    n_rows: tuple[int, ...]


def write_vectors(folder: Path, table: pd.DataFrame, held_out: pd.DataFrame) -> None:
    """Write the vectors, and the conditions held out of training by dataset and compound."""
    pq.write_table(pa.Table.from_pandas(table, SCHEMA, preserve_index=False), folder / EMBEDDING, compression="zstd")
    pq.write_table(pa.Table.from_pandas(held_out, preserve_index=False), folder / HELD_OUT, compression="zstd")


class ModelManifest(TypedDict):
    """What a model learned from, how, and how similar unlike compounds are by its vectors."""

    kind: str
    n_dimensions: int
    n_compounds: int
    datasets: list[str]
    overlap_groups: dict[str, str]
    origin: Json
    left_out: Mapping[str, int]
    split: str | None
    n_held_out: int
    parameters: Json
    cosine_levels: list[float]
    cosine_quantiles: list[float]
    code_version: str
    seconds: float
    peak_mb: float


def write_manifest(folder: Path, content: ModelManifest) -> None:
    """Write the manifest, the last file."""
    text = json.dumps({"format": FORMAT, **content}, indent=1, sort_keys=True, default=str)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> ModelManifest:
    """Read the manifest of a model's folder.

    Raises:
        DataError: the folder holds no model.
    """
    try:
        content: ModelManifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(
            f"'{folder}' is no model: it has no {MANIFEST}; `pbdb embed train --out DIR` makes one."
        ) from None
    return content


def read_vectors(folder: Path) -> pd.DataFrame:
    """Read the vectors of a model's folder.

    Raises:
        DataError: they are missing or damaged.
    """
    path = folder / EMBEDDING
    try:
        table: pd.DataFrame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowInvalid) as problem:
        raise DataError(f"'{path}' cannot be read ({first_line(problem)}): train the model again.") from None
    return table


def write_predictor(folder: Path, made: Predictor) -> None:
    """Write what predicts."""
    arrays, lists = _parts(made.model)
    of_means, of_means_lists = _parts(made.means)
    arrays |= {f"structure_{name}": value for name, value in vars(made.model.structure).items()}
    arrays |= {f"means_{name}": value for name, value in of_means.items()}
    arrays |= {f"means_{name}": value for name, value in of_means_lists.items()}
    names = {
        "keys": made.model.keys,
        "gain": [[*key, value] for key, value in made.model.gain.items()],
        "slope": made.slope,
        "scale": made.scale,
        "genes": made.genes,
        "compounds": made.compounds,
        "n_rows": made.n_rows,
    }
    everything: dict[str, Any] = {"names": np.array(json.dumps(names)), **arrays, **lists}
    np.savez(folder / MODEL, **everything)


def _parts(value: Any) -> tuple[Arrays, Arrays]:
    """Arrays of a dataclass by name, and those in tuples by name and number."""
    arrays: Arrays = {}
    lists: Arrays = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if isinstance(part, np.ndarray):
            arrays[field.name] = part
        elif isinstance(part, tuple) and part and isinstance(part[0], np.ndarray):
            lists |= {f"{field.name}_{i:04d}": item for i, item in enumerate(part)}
    return arrays, lists


def read_predictor(folder: Path) -> Predictor:
    """Read what predicts.

    Raises:
        DataError: the model has none (only low-rank models do), or the file is damaged.
    """
    path = folder / MODEL
    if not path.is_file():
        raise DataError(f"The model in '{folder}' gives vectors only: predictions need one of kind lowrank.")
    try:
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except (OSError, ValueError, KeyError) as problem:
        raise DataError(f"'{path}' cannot be read ({first_line(problem)}): train the model again.") from None
    return _predictor(arrays)


def _predictor(arrays: Arrays) -> Predictor:
    names = json.loads(str(arrays["names"]))
    plain = ("grams", "embedding", "information", "prior_root", "reliability", "from_structure")
    parts: dict[str, Any] = {name: arrays[name] for name in (*plain, "structure_share", "coefficients")}
    parts |= {name: _several(arrays, name) for name in ("genes", "loadings", "noise")}
    model = LowRank(
        keys=tuple((dataset, context) for dataset, context in names["keys"]),
        gain={(dataset, int(dose), float(time)): value for dataset, dose, time, value in names["gain"]},
        structure=StructureMap(arrays["structure_landmarks"], arrays["structure_projection"]),
        **parts,
    )
    means = ContextMeans(*(_several(arrays, f"means_{name}") for name in ("overall", "dose_um", "by_dose")))
    texts = {name: tuple(names[name]) for name in ("genes", "compounds", "n_rows")}
    return Predictor(model, means, names["slope"], names["scale"], **texts)


def _several(arrays: Arrays, name: str) -> tuple[Any, ...]:
    keys = sorted(key for key in arrays if key.startswith(f"{name}_") and key[len(name) + 1 :].isdigit())
    return tuple(arrays[key] for key in keys)
