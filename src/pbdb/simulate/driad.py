"""A small DRIAD release in the published layout: two plates of 3' DGE, with effects that are known because planted.

Its traps are those of the published files: the second plate has its genes in another order and lacks some, drugs
given with a stimulant carry it in brackets, wells are listed in no order, some wells have hardly any counts, and some
genes are called by a name they had before. `genes.tsv` beside the release is the gene vocabulary it needs.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import release
from pbdb.simulate import wells as plates
from pbdb.simulate.known import DRUGS
from pbdb.simulate.planted import Planted, plant

VOCABULARY = release.VOCABULARY
PLATES = ("DGE1", "DGE2")
DOSES = (1.0, 10.0)
N_DRUGS, N_REPLICATES, N_VEHICLES = 12, 3, 6
ENOUGH_COUNTS, MEDIAN_UMI, FEW_UMI = 30_000, 90_000, 4_000
FORMER_NAMES = {"H1F0": "H1-0"}
UNKNOWN_SYMBOLS = ("NOTAGENE1", "NOTAGENE2")

Well = tuple[str, float | None, int, int]
"""What the sheet says of a well, drug and dose, and what is in it: drug and dose as indices, -1 for nothing."""

_VEHICLES = {"DGE1": "Drug control", "DGE2": "DMSO"}
_WRITTEN = {"JQ1": "(+)-JQ1"}  # a plain drug, for all its brackets
_ALONE = {"DGE1": ("LPS", "naked dsRNA"), "DGE2": ("Lipo control", "Chitosan")}
_WITH = {"DGE1": (), "DGE2": ("(lipo)", "(dsrnami)")}


@dataclass(frozen=True)
class Truth:
    """What was planted.

    effects: compound, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not respond. wells: all of
    them (`loaded`), those fit for use (`in_fit`), and by reason those that are not. statuses: of the treated
    conditions. genes: symbols of the first plate by what they are found as.
    """

    effects: pd.DataFrame
    wells: dict[str, int]
    statuses: dict[str, int]
    genes: dict[str, int]


def write(folder: str | Path, *, genes: int = 600, seed: int = 20210216) -> Truth:
    """Write a release: both plates, the gene vocabulary, truth.csv and SHA256SUMS; a seed fixes every byte."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(N_DRUGS, DOSES, genes, rng)
    measured = plates.measured(planted)
    sheets = {plate: _write_plate(folder, plate, planted, measured, rng) for plate in PLATES}
    plates.write_vocabulary(folder, planted, measured, FORMER_NAMES)
    effects = _effects(planted, measured)
    plates.finish(folder, effects)
    return Truth(effects, _worth(sheets), _statuses(sheets), _found(measured))


def _write_plate(folder: Path, plate: str, planted: Planted, measured: NDArray[np.intp], rng: Generator) -> list[int]:
    """Write counts and sheet of a plate; return the UMI of its wells in the order of `_wells`."""
    wells = _wells(plate)
    counts = _counts(wells, planted, measured, _few(plate), rng)
    symbols = planted.genes["symbol"].to_numpy()[measured]
    order = np.arange(len(symbols))
    if plate == PLATES[1]:
        order = rng.permutation(order)[: len(order) - 10]
    names = [f"{chr(65 + at // 24)}{at % 24 + 1:02d}" for at in range(len(wells))]
    table = pd.DataFrame(counts[order], index=pd.Index(symbols[order], name="HUGO"), columns=names)
    for symbol in UNKNOWN_SYMBOLS:
        table.loc[symbol] = rng.poisson(5, len(names))
    with gzip.GzipFile(folder / f"{plate}-counts.csv.gz", "wb", mtime=0) as file:
        file.write(table.to_csv(lineterminator="\n").encode())
    sheet = pd.DataFrame({"Well": names, "Drug": [well[0] for well in wells], "Concentration": [w[1] for w in wells]})
    sheet = sheet.sample(frac=1, random_state=rng)
    sheet.to_csv(folder / f"{plate}-meta.csv", index=False, lineterminator="\n", float_format="%g")
    return [int(total) for total in table.sum()]


def _wells(plate: str) -> list[Well]:
    drugs = range(PLATES.index(plate), N_DRUGS, len(PLATES))
    wells: list[Well] = [(_VEHICLES[plate], None, -1, -1)] * N_VEHICLES
    wells += [
        (_written(drug), dose, drug, at) for drug in drugs for at, dose in enumerate(DOSES) for _ in range(N_REPLICATES)
    ]
    wells += [(name, None, -1, -1) for name in _ALONE[plate]]
    return wells + [(f"{_written(drugs[0])} {stimulant}", DOSES[0], drugs[0], 0) for stimulant in _WITH[plate]]


def _written(drug: int) -> str:
    return _WRITTEN.get(DRUGS[drug].name, DRUGS[drug].name)


def _few(plate: str) -> Sequence[int]:
    """Wells with hardly any counts: of the first plate all of one condition, of the second one well."""
    last = N_VEHICLES + N_DRUGS // len(PLATES) * len(DOSES) * N_REPLICATES
    return range(last - N_REPLICATES, last) if plate == PLATES[0] else [last - 1]


def _counts(
    wells: Sequence[Well], planted: Planted, measured: NDArray[np.intp], few: Sequence[int], rng: Generator
) -> NDArray[np.int64]:
    """UMI counts, genes x wells: negative binomial around share x library x effect x plate effect."""
    share, spread = (planted.genes[name].to_numpy()[measured, None] for name in ("share", "spread"))
    shift = np.stack([planted.log2_fc[drug, at, measured] * (drug >= 0) for _, _, drug, at in wells], axis=1)
    library = MEDIAN_UMI * rng.lognormal(0, 0.15, len(wells))
    library[list(few)] = FEW_UMI
    mean = share / share.sum() * library * np.exp2(shift + rng.normal(0, 0.15, share.shape))
    counts: NDArray[np.int64] = rng.poisson(mean * rng.gamma(1 / spread, spread, mean.shape))
    return counts


def _effects(planted: Planted, measured: NDArray[np.intp]) -> pd.DataFrame:
    known = set(planted.genes["symbol"].to_numpy()[measured])
    effects = planted.effects()[["compound", "dose_um", "gene_symbol", "gene_id", "log2_fc"]]
    effects = effects[effects["gene_symbol"].isin(known)]
    return effects.assign(compound=effects["compound"].replace(_WRITTEN)).reset_index(drop=True)


def _worth(sheets: dict[str, list[int]]) -> dict[str, int]:
    stimulated = sum(len(_ALONE[plate]) + len(_WITH[plate]) for plate in PLATES)
    few = sum(total < ENOUGH_COUNTS for totals in sheets.values() for total in totals)
    loaded = sum(map(len, sheets.values()))
    return {"loaded": loaded, "low_counts": few, "stimulated": stimulated, "in_fit": loaded - few - stimulated}


def _statuses(sheets: dict[str, list[int]]) -> dict[str, int]:
    conditions: dict[tuple[str, float | None], bool] = {}
    for plate, totals in sheets.items():
        treated = slice(N_VEHICLES, N_VEHICLES + N_DRUGS // len(PLATES) * len(DOSES) * N_REPLICATES)
        for (name, dose, _, _), total in zip(_wells(plate)[treated], totals[treated], strict=True):
            conditions[name, dose] = conditions.get((name, dose), False) or total >= ENOUGH_COUNTS
    estimated = sum(conditions.values())
    return {"ok": estimated, "no_sample": len(conditions) - estimated}


def _found(measured: NDArray[np.intp]) -> dict[str, int]:
    return {
        "current": len(measured) - len(FORMER_NAMES),
        "synonym": len(FORMER_NAMES),
        "unknown": len(UNKNOWN_SYMBOLS),
    }
