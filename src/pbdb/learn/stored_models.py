"""Embedding models in the database: loaded from their folders, listed, and asked what acts alike."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypedDict

import pandas as pd
from sqlalchemy import Connection, text

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.ids import stable_id
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.database.copy_text import copy_frame
from pbdb.learn import model_files
from pbdb.query import compounds
from pbdb.query.database import Database
from pbdb.server import connect

LEAST_RELIABILITY = 0.3


class LoadedModel(TypedDict):
    """What became of a model: its name, its compounds, and whether it is asked where none is named."""

    model: str
    compounds: int
    is_default: bool


def load(
    settings: Settings, folder: Path, name: str | None = None, *, default: bool = False, replace: bool = False
) -> LoadedModel:
    """Put a model's vectors into the database, and its folder under PBDB_HOME for `embed predict`.

    The first model becomes the default; another only where `default` says so.

    Raises:
        DataError: the folder holds no model.
        ConfigError: the name is taken (unless `replace`).
    """
    content, vectors = model_files.read_manifest(folder), model_files.read_vectors(folder)
    chosen = name or folder.absolute().name
    with connect.engine(settings).begin() as connection:
        _require_datasets(connection, content["datasets"])
        others = connection.execute(text("SELECT model FROM core.embedding_model WHERE model <> :m"), {"m": chosen})
        is_first = others.first() is None
        if _remove(connection, chosen) and not replace:
            raise ConfigError(f"There is a model '{chosen}' already: give another --name, or --replace it.")
        if default:
            connection.execute(text("UPDATE core.embedding_model SET is_default_model = false"))
        _insert(connection, chosen, content, vectors, is_default=default or is_first)
    _keep(settings, folder, chosen)
    return {"model": chosen, "compounds": len(vectors), "is_default": default or is_first}


def _require_datasets(connection: Connection, datasets: list[str]) -> None:
    known = set(connection.execute(text("SELECT dataset FROM core.dataset")).scalars())
    missing = sorted(set(datasets) - known)
    if missing:
        raise QueryError(
            f"The model learned from '{missing[0]}', which this database does not hold: its data sets"
            " decide who may see it, so load them first."
        )


def _remove(connection: Connection, name: str) -> bool:
    statement = text("DELETE FROM core.embedding_model WHERE model = :name")
    return connection.execute(statement, {"name": name}).rowcount > 0


def _insert(
    connection: Connection, name: str, content: model_files.ModelManifest, vectors: pd.DataFrame, *, is_default: bool
) -> None:
    model_id = stable_id("embedding_model", name)
    columns = ("kind", "n_dimensions", "datasets", "cosine_levels", "cosine_quantiles", "parameters", "code_version")
    row = {"model_id": model_id, "model": name, "is_default_model": is_default} | {
        key: dict(content)[key] for key in columns
    }
    row |= {"training_split": content["split"], "learnt_from": content["origin"]}
    copy_frame(connection, "core.embedding_model", pd.DataFrame([row]))
    counts = {f"n_training_{what}": vectors[f"n_{what}"] for what in ("effects", "datasets", "contexts")}
    texts = ["[" + ",".join(map(str, vector.tolist())) + "]" for vector in vectors["vector"]]
    table = vectors[["parent_inchikey", "reliability", "from_structure"]].assign(model_id=model_id, vec=texts, **counts)
    copy_frame(connection, "core.compound_embedding", table)


def folder_of(settings: Settings, name: str) -> Path:
    """Where a loaded model's files are kept."""
    return settings.home / "models" / name


def _keep(settings: Settings, folder: Path, name: str) -> None:
    target = folder_of(settings, name)
    if folder.absolute() == target.absolute():
        return
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)


def listed(database: Database) -> list[Row]:
    """All models a reader may see, the default one first."""
    return compounds.fetch(database, _LIST, {})


def similar(
    database: Database, compound: str, k: int, model: str | None = None, least_reliability: float = LEAST_RELIABILITY
) -> list[Row]:
    """The k compounds that act most like one; see pbdb.acts_like.

    Raises:
        QueryError: no compound is called that, there is no such model, or it has no vector of the compound.
    """
    names = [row["model"] for row in listed(database)]
    if not names:
        raise QueryError("No model is loaded: `pbdb embed train` makes one, `pbdb embed load` loads it.")
    if model is not None and model not in names:
        raise QueryError(f"There is no model '{model}': there are {', '.join(names)}.")
    meant = compounds.one_compound(database, compound)
    for key in dict.fromkeys(row["inchikey"] for row in meant if row["inchikey"]):
        given = {"key": key, "k": k, "model": model, "least": least_reliability}
        if rows := compounds.fetch(database, _SIMILAR, given):
            return rows
    raise QueryError(
        f"The model has no vector of '{compound}', or no compound beside it is as reliable as {least_reliability:g}:"
        " `SELECT * FROM compound_embedding` shows what it has; --all shows unreliable ones too."
    )


_LIST = """
SELECT model, kind, is_default_model, n_dimensions, datasets, training_split, created_at,
    (SELECT count(*) FROM pbdb.compound_embedding v WHERE v.model = m.model) AS n_compounds
FROM pbdb.embedding_model m ORDER BY is_default_model DESC, model"""
_SIMILAR = """
SELECT * FROM pbdb.acts_like(%(key)s, %(k)s, CAST(%(model)s AS text), %(least)s)"""
