"""pbdb embed predict: the signature a model expects of a compound, with its standard deviation."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.settings import Settings
from pbdb.identity.compounds import structure
from pbdb.learn import model_files, stored_models
from pbdb.learn.model_files import Predictor
from pbdb.learn.models.compendium import Floats, Rows
from pbdb.query import compounds
from pbdb.query.database import Database


class OfCompound(TypedDict):
    """Which compound a text means, whether a model guesses it from the structure, and how reliable its vector is."""

    compound: str
    parent_inchikey: str
    from_structure: bool
    reliability: float


class Prediction(OfCompound):
    """What is predicted: as measured by which data set, in which context, at which dose and time; slope of the fit."""

    dataset: str
    context: str
    dose_um: float
    time_h: float
    slope: float


def predict(
    database: Database, what: str, context: str, dose_um: float, time_h: float, model: str, dataset: str | None = None
) -> tuple[Prediction, pd.DataFrame]:
    """Predict the effect of a compound (name, InChIKey or SMILES) in a context.

    model: name of a loaded model, or a folder. dataset: as measured by which data set; the one with most conditions in
    the context unless given.

    Returns: what is predicted, and a table of gene_id, log2_fc, sd, context_mean.

    Raises:
        QueryError: the model never saw the context, or does not know the compound and it has no structure.
    """
    folder = _folder(database.settings, model)
    made = model_files.read_predictor(folder)
    block = _block(made, context, dataset)
    if not dose_um > 0 or not time_h > 0:
        raise ConfigError(f"A dose of {dose_um:g} uM for {time_h:g} h makes no effect: both must be above 0.")
    of_compound, vector, covariance = _vector(database, made, what)
    rows = _row(made, block, dose_um, time_h)
    predicted: Prediction = {
        **of_compound,
        "dataset": rows.dataset,
        "context": rows.context,
        "dose_um": dose_um,
        "time_h": time_h,
        "slope": made.slope.get(rows.dataset, 0.0),
    }
    table = _effects(made, block, rows, vector, covariance)
    return predicted, table.sort_values("log2_fc", key=np.abs, ascending=False, ignore_index=True)


def _effects(made: Predictor, block: int, rows: Rows, vector: Floats, covariance: Floats) -> pd.DataFrame:
    """The effect of a compound of this vector at the dose and time of `rows`, gene by gene."""
    gain = float(made.model.gains(rows)[0])
    loading = made.model.loadings[block].astype(np.float64)
    mean = made.means.of(block, rows)[0].astype(np.float64)
    slope, scale = made.slope.get(rows.dataset, 0.0), made.scale.get(rows.dataset, 1.0)
    variance = gain**2 * np.einsum("kg,kg->g", loading, covariance @ loading) + made.model.noise[block]
    return pd.DataFrame(
        {
            "gene_id": [made.genes[gene] for gene in made.model.genes[block]],
            "log2_fc": mean + slope * gain * (vector @ loading),
            "sd": scale * np.sqrt(variance),
            "context_mean": mean,
        }
    )


def _folder(settings: Settings, model: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    kept = stored_models.folder_of(settings, model)
    if not kept.is_dir():
        raise QueryError(f"The files of model '{model}' are not on this machine: give --model FOLDER.")
    return kept


def _block(made: Predictor, context: str, dataset: str | None) -> int:
    """The block of a context: the one of the dataset, or that with most conditions."""
    there = [i for i, (name, cells) in enumerate(made.model.keys) if cells == context and dataset in (None, name)]
    if not there:
        known = sorted({cells for name, cells in made.model.keys if dataset in (None, name)})
        where = f" in data set '{dataset}'" if dataset else ""
        raise QueryError(
            f"The model never saw context '{context}'{where}, so it cannot say what happens there: it knows"
            f" {', '.join(known[:12])}{' and others' if len(known) > 12 else ''}."
        )
    return max(there, key=lambda i: made.n_rows[i])


def _row(made: Predictor, block: int, dose_um: float, time_h: float) -> Rows:
    dataset, context = made.model.keys[block]
    return Rows(
        dataset, context, made.model.genes[block], np.zeros(1, np.int64), np.array([dose_um]), np.array([time_h])
    )


def _vector(database: Database, made: Predictor, what: str) -> tuple[OfCompound, Floats, Floats]:
    """The compound's vector and covariance: known, or guessed from a structure."""
    key, name = _known(database, what)
    if key in made.compounds:
        i = made.compounds.index(key)
        known: OfCompound = {
            "compound": name,
            "parent_inchikey": key,
            "from_structure": bool(made.model.from_structure[i]),
            "reliability": float(made.model.reliability[i]),
        }
        return known, made.model.embedding[i], made.model.covariance(i)
    standard = structure.standardise(what)
    if isinstance(standard, structure.Refusal):
        raise QueryError(f"The model does not know '{what}', and it is no structure to guess from: give a SMILES.")
    if standard.parent_inchikey in made.compounds:
        return _vector(database, made, standard.parent_inchikey)
    vector, covariance = made.model.guess(np.frombuffer(standard.fingerprint, np.uint8))
    guessed: OfCompound = {
        "compound": what,
        "parent_inchikey": standard.parent_inchikey,
        "from_structure": True,
        "reliability": float(made.model.structure_share.mean()),
    }
    return guessed, vector, covariance


def _known(database: Database, what: str) -> tuple[str, str]:
    try:
        rows = compounds.one_compound(database, what)
    except QueryError:
        return what, what
    keys = compounds.fetch(database, _PARENTS, {"keys": [row["inchikey"] for row in rows]})
    return (keys[0]["key"], str(rows[0]["compound_name"])) if keys else (what, what)


_PARENTS = """
SELECT coalesce(parent_inchikey, inchikey) AS key FROM pbdb.compound WHERE inchikey = ANY(%(keys)s) LIMIT 1"""
