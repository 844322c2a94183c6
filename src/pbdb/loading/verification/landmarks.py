"""The vector by which signatures are searched, made again from the fold changes and standard errors of its effect."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pbdb.loading.verification.differences import Differences
from pbdb.loading.verification.effects import FitRow, Sampled
from pbdb.loading.verification.tables import Floats32, Loaded

N_LANDMARKS = 978
FEWEST = 500  # landmark genes that a fit must test for its effects to have the vector
LARGEST = 50.0
# Half precision has 11 bits, so neighbours near 50 are 1/32 apart.
TOLERANCE = 1e-3

Floats = npt.NDArray[np.float64]


def expected(log2_fc: Floats32, se: Floats32, places: npt.NDArray[np.intp]) -> Floats:
    """Moderated t = log2_fc / se at the place of each landmark (-1: a gene that is none), at most 50 either way.

    0 where a landmark was not tested, or has no t.
    """
    vectors = np.zeros((len(log2_fc), N_LANDMARKS))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = log2_fc.astype(np.float64) / se
    vectors[:, places[places >= 0]] = np.nan_to_num(np.clip(t, -LARGEST, LARGEST))[:, places >= 0]
    return vectors


def check(loaded: Loaded, fit: FitRow, chosen: Sampled, differences: Differences) -> None:
    """Compare the vectors of the sampled effects, and how many landmark genes each says that it has."""
    place_of = loaded.landmarks()
    places = np.array([place_of.get(int(key), -1) for key in fit["gene_keys"]], dtype=np.intp)
    n = int((places >= 0).sum())
    ids = chosen.effects["effect_id"].tolist()
    stored = loaded.landmark_vectors(fit.fit_id, ids)
    has_vector = fit["mode"] == "pooled" and n >= FEWEST
    for rows, block in loaded.effect_arrays(fit.fit_id, ("log2_fc", "se"), ids, int(fit["n_genes"])):
        wanted = expected(block["log2_fc"], block["se"], places)
        for effect_id, vector in zip(ids[rows], wanted, strict=True):
            counted, loaded_vector = stored[effect_id]
            if counted == 0 and loaded_vector is None:
                continue  # loaded before the landmarks were known, which `pbdb signature search` says
            differences.expect("n_landmarks", f"effect {effect_id}", counted, n, "its genes")
            _compare(effect_id, loaded_vector, vector if has_vector else None, differences)


def _compare(effect_id: int, stored: Floats | None, wanted: Floats | None, differences: Differences) -> None:
    if stored is None or wanted is None:
        if (stored is None) != (wanted is None):
            what = "no vector of landmarks" if stored is None else "a vector of landmarks, but too few of them"
            differences.add("landmark_t", f"effect {effect_id} has {what}")
        return
    wrong = np.flatnonzero(np.abs(stored - wanted) > TOLERANCE * (1 + np.abs(wanted)))
    if len(wrong):
        at = int(wrong[0])
        where = f"landmark_t of effect {effect_id}, landmark {at}"
        differences.differ("landmark_t", where, float(stored[at]), float(wanted[at]), "log2_fc / se", len(wrong))
