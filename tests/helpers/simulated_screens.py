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
    chance: np.random.Generator, sheet: pd.DataFrame, *, active: float, plate_sd: float, noise: float = 0.05,
    depth: float = 20_000, depth_sd: float = 0.35,
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


FAULTS = ("plates", "apart", "few", "dying", "vehicle", "replicate", "labels", "edge", "edge_expression")


def planted(seed: int, fault: str = "", *, n_plates: int = 4, active: float = 0.5, plate_sd: float = 0.0) -> Screen:
    """A clean screen, or one with a fault: each is that of one test."""
    chance = np.random.default_rng(seed)
    sheet = layout(chance, n_plates)
    _, mean = counts(chance, sheet, active=active, plate_sd=0.3 if fault == "plates" else plate_sd)
    vehicle, treated = (np.flatnonzero(sheet["is_vehicle"] == is_it) for is_it in (True, False))
    if fault == "apart":
        mean[sheet["plate"] == "P2"] += chance.normal(0, 0.4, GENES)
    if fault == "few":
        mean[treated[[3, 40]]] -= np.log(12)
    if fault == "dying":
        mean[sheet["compound"] == "C005"] -= np.log(4)
    if fault in ("vehicle", "replicate"):
        first = sheet.loc[treated, "condition"].iloc[0]
        of_first = np.flatnonzero(sheet["condition"] == first)
        response = np.zeros(GENES)
        response[chance.choice(GENES, 80, replace=False)] = chance.normal(0, 1.2, 80)
        mean[of_first] += response
        if fault == "vehicle":
            mean[vehicle[2]] += response
        else:
            mean[of_first[0]] -= response
    if fault == "labels":
        sheet.loc[treated, ["compound", "condition"]] = sheet.loc[
            chance.permutation(treated), ["compound", "condition"]
        ].to_numpy()
    is_edge = sheet["well"].str[0].isin(["A", "H"]) | sheet["well"].str[1:].isin(["01", "12"])
    if fault == "edge":
        mean[is_edge] -= np.log(1.3)
    if fault == "edge_expression":
        mean[is_edge] += chance.normal(0, 0.15, GENES)
    return screen(sheet, drawn(chance, mean))
