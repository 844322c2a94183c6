"""Plates simulated for the page on quality: clean ones, and the same with a planted fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from pbdb.effects.report import profiles
from pbdb.effects.report.screen import Screen

GENES = 600
ROWS, COLUMNS = 8, 12


def layout(chance: np.random.Generator, n_plates: int, n_vehicle: int = 12) -> pd.DataFrame:
    """Four plates of 96: three wells of 28 compounds each, the rest vehicle, at random places."""
    n_compounds = (ROWS * COLUMNS - n_vehicle) // 3
    parts = []
    for plate in range(n_plates):
        compound = np.repeat(np.arange(n_compounds), 3) + (plate // 2) * n_compounds
        names = [*(f"C{c:03}" for c in compound), *["DMSO"] * n_vehicle]
        wells = [f"{chr(65 + r)}{c + 1:02}" for r in range(ROWS) for c in range(COLUMNS)]
        parts.append(pd.DataFrame({"plate": f"P{plate + 1}", "well": wells, "compound": chance.permutation(names)}))
    sheet = pd.concat(parts, ignore_index=True)
    is_vehicle = sheet["compound"] == "DMSO"
    dose = np.where(is_vehicle, 0.0, 10.0)
    return sheet.assign(
        sample=sheet["plate"] + "_" + sheet["well"], dose_um=dose, time_h=24.0, is_vehicle=is_vehicle, left_out="",
        condition=[f"{c}_{d:g}uM_24h" for c, d in zip(sheet["compound"], dose, strict=True)], group="all samples",
    )  # fmt: skip


def counts(
    chance: np.random.Generator,
    sheet: pd.DataFrame,
    *,
    active: float,
    plate_sd: float,
    noise: float = 0.05,
    depth: float = 20_000,
    depth_sd: float = 0.35,
) -> tuple[Any, np.ndarray[Any, Any]]:
    """Negative binomial counts of the wells, and their true log means (natural)."""  # fmt: skip
    base = chance.normal(0, 1.2, GENES)
    log_mean = np.tile(base - np.log(np.exp(base).sum()) + np.log(depth), (len(sheet), 1))
    for _, compound in sheet[~sheet["is_vehicle"]].groupby("compound"):
        if chance.random() < active:
            genes = chance.choice(GENES, 60, replace=False)
            log_mean[np.ix_(compound.index, genes)] += chance.normal(0, 1.0, 60)
    for _, plate in sheet.groupby("plate"):
        log_mean[plate.index] += chance.normal(0, plate_sd, GENES)
    log_mean += np.log(depth) - np.log(np.exp(log_mean).sum(axis=1))[:, None]  # responses leave the total as it is
    log_mean += chance.normal(0, depth_sd, len(sheet))[:, None]
    return drawn(chance, log_mean, noise), log_mean


def drawn(chance: np.random.Generator, log_mean: np.ndarray[Any, Any], noise: float = 0.05) -> Any:
    """Counts of dispersion `noise` around means."""
    return sp.csr_matrix(chance.poisson(chance.gamma(1 / noise, np.exp(log_mean) * noise)))


def screen(sheet: pd.DataFrame, values: Any) -> Screen:
    """The page's contents without fits."""
    found = profiles.read(lambda rows: values[rows], values.shape, "counts")
    wells = sheet.assign(total=found.total, detected=found.detected)
    effects = pd.DataFrame(columns=["condition", "compound", "dose_um", "time_h", "group", "status", "n_up", "n_down"])
    return Screen("Simulated", "counts", {}, wells, effects, [], np.zeros(40, np.int64), "", [], values=found.values)


def planted(seed: int, fault: str = "", *, n_plates: int = 4, active: float = 0.5, plate_sd: float = 0.0) -> Screen:
    """A clean screen, or one with a fault: each is that of one test."""
    chance = np.random.default_rng(seed)
    sheet = layout(chance, n_plates)
    _, mean = counts(chance, sheet, active=active, plate_sd=0.3 if fault == "plates" else plate_sd)
    if fault in PLANT:
        PLANT[fault](chance, sheet, mean)
    return screen(sheet, drawn(chance, mean))


def _edge_of(sheet: pd.DataFrame) -> Any:
    return sheet["well"].str[0].isin(["A", "H"]) | sheet["well"].str[1:].isin(["01", "12"])


def _apart(chance: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    mean[sheet["plate"] == "P2"] += chance.normal(0, 0.4, GENES)


def _few(_: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    mean[np.flatnonzero(~sheet["is_vehicle"])[[3, 40]]] -= np.log(12)


def _dying(_: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    mean[sheet["compound"] == "C005"] -= np.log(4)


def _response(chance: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> Any:
    """Give the first treated condition a response; return its wells and the response."""
    of_first = np.flatnonzero(sheet["condition"] == sheet.loc[~sheet["is_vehicle"], "condition"].iloc[0])
    response = np.zeros(GENES)
    response[chance.choice(GENES, 80, replace=False)] = chance.normal(0, 1.2, 80)
    mean[of_first] += response
    return of_first, response


def _vehicle(chance: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    _, response = _response(chance, sheet, mean)
    mean[np.flatnonzero(sheet["is_vehicle"])[2]] += response


def _replicate(chance: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    of_first, response = _response(chance, sheet, mean)
    mean[of_first[0]] -= response


def _labels(chance: np.random.Generator, sheet: pd.DataFrame, _: Any) -> None:
    treated, names = np.flatnonzero(~sheet["is_vehicle"]), ["compound", "condition"]
    sheet.loc[treated, names] = sheet.loc[chance.permutation(treated), names].to_numpy()


def _edge(_: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    mean[_edge_of(sheet)] -= np.log(1.3)


def _edge_expression(chance: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    mean[_edge_of(sheet)] += chance.normal(0, 0.15, GENES)


def _halves(chance: np.random.Generator, sheet: pd.DataFrame, mean: Any) -> None:
    right = sheet["well"].str[1:].astype(int) > 6
    mean[right] += chance.normal(0, 0.2, GENES)


PLANT = {
    "apart": _apart,
    "few": _few,
    "dying": _dying,
    "vehicle": _vehicle,
    "replicate": _replicate,
    "labels": _labels,
    "edge": _edge,
    "edge_expression": _edge_expression,
    "halves": _halves,
}
FAULTS = ("plates", *PLANT)
