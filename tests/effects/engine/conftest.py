"""Small simulated experiments for the effect tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pbdb.effects import engine


@dataclass(frozen=True)
class Experiment:
    """A sheet (condition, is_control, plate, time), and values samples x genes."""

    sheet: pd.DataFrame
    values: np.ndarray

    def design(self, **options: Any) -> engine.Design:
        sheet = self.sheet
        return engine.build_design(
            sheet.condition.to_numpy(),
            sheet.is_control,
            plate=sheet.plate,
            time=sheet.time,
            **options,
        )

    def fit(self, mode: Any = "pooled", keep: Any = None, **options: Any) -> engine.Fit:
        design = self.design(mode=mode, keep=keep)
        return engine.prepare(self.values, design, engine.Options(**{"threads": 1, **options}))

    def block(self, **options: Any) -> engine.CompleteBlock:
        """All statistics of the fit, in one block."""
        (block,) = engine.complete(self.fit(**options), size=100_000)
        return block

    def with_values(self, values: np.ndarray) -> Experiment:
        return replace(self, values=values)


def experiment(seed: int = 0, n_genes: int = 120, readout: str = "counts", n_plates: int = 3) -> Experiment:
    """Nine conditions of one to four wells and six vehicle wells, spread over plates; no true effect."""
    random = np.random.default_rng(seed)
    sizes = {"DMSO": 6, **{f"drug {i}": 1 + i % 4 for i in range(9)}}
    condition = np.repeat(list(sizes), list(sizes.values()))
    plate = np.arange(len(condition)) % n_plates
    sheet = pd.DataFrame({"condition": condition, "plate": plate, "time": 24.0})
    sheet["is_control"] = sheet.condition == "DMSO"
    level = random.normal(5, 1.5, n_genes) + 0.4 * random.normal(size=(n_plates, n_genes))[plate]
    noise = random.normal(size=(len(sheet), n_genes)) * np.sqrt(0.15 * 8 / random.chisquare(8, n_genes))
    if readout != "counts":
        return Experiment(sheet, level + noise)
    library = np.exp(random.normal(0, 0.4, len(sheet)))[:, None]
    return Experiment(sheet, random.poisson(library * np.exp(0.7 * (level + noise))).astype(float))


@pytest.fixture()
def simulate() -> Callable[..., Experiment]:
    return experiment


@pytest.fixture()
def counts() -> Experiment:
    return experiment()


@pytest.fixture()
def intensities() -> Experiment:
    return experiment(readout="log2_intensity")


@pytest.fixture(scope="session")
def driad(shared: Any) -> Experiment:
    """Plate 1 of the neuronal drug screen, wells of at least 30,000 counts."""
    folder = shared / "data/drugseq_like/driadrc"
    table = pd.read_csv(folder / "DGE1-counts.csv.gz", index_col=0)
    table = table.loc[:, table.sum() >= 30_000]
    meta = pd.read_csv(folder / "DGE1-meta.csv").set_index("Well").loc[table.columns]
    sheet = pd.DataFrame({"condition": meta.Drug + " " + meta.Concentration.astype(str), "plate": 1, "time": 24.0})
    sheet["is_control"] = (meta.Drug == "Drug control").to_numpy()
    return Experiment(sheet.reset_index(drop=True), table.to_numpy().T)
