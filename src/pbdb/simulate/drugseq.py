"""A small DRUG-seq release in the published layout, with effects that are known because they were planted.

Every trap of the published files is there: the annotation is not in the order of the counts, every second plate has
its genes in another order, some geneIDs stand for several Ensembl ids, only two vehicle wells of a plate can be
trusted, and a few wells hold nothing at all. Wells that the published plates have beside these are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.common.errors import ConfigError
from pbdb.simulate import rwrite, wells
from pbdb.simulate.known import DRUGS, GENES, INERT
from pbdb.simulate.planted import Floats, Planted, inchikey, plant

Plate = dict[str, rwrite.Matrix | pd.DataFrame]

EXPRESSION = "Exp_gzip.RData"
ROBUST = "robust_RC_ReferenceControl_DMSO_wells.txt"
COMPOUNDS = "MoABox_compounds_metadata.txt"
ANNOTATION = "drugseq_ensembl_v98_annotation_and_entrez_mapping.RData"

DMSO, WATER = "CB-43-EP73", "EC-27-RY89"
POSITIVE_CONTROLS = ("BD-11-DV28", "EA-18-FP00", "SE-15-AV21")
N_ROWS, N_COLUMNS, VEHICLE_COLUMN = 16, 24, 23  # the column after the vehicle's holds the positive controls
WELLS_OF_A_POSITIVE_CONTROL, EMPTY_WELLS, ROBUST_WELLS = 3, 21, 2
MEDIAN_UMI, MOST_GENES = 60_000, 25_000

_STRUCTURES = {
    DMSO: "C[S+](C)[O-]",
    WATER: "O",
    "EA-18-FP00": "COC(=O)C[C@](O)(CCCC(C)(C)O)C(=O)O[C@@H]1C(OC)=C[C@]23CCCN2CCc2cc4c(cc2[C@H]13)OCO4",
    "SE-15-AV21": "O=C(Nc1ccc(Cl)c(Cl)c1)Nc1ccc2nnsc2c1",
}
_WITHOUT_STRUCTURE, _WITHOUT_ANYTHING = "ibuprofen", "acetaminophen"  # as one in eight published compounds
_WORTH = {"compound": "in_fit", "vehicle": "in_fit"}  # any other kind of well is a reason to leave it out
_LIBRARY = {
    "compound": 1.0,
    "vehicle": 1.0,
    "unreliable_vehicle": 0.7,
    "positive_control": 0.2,
    "empty": 0.01,
    "zero_library": 0.0,
}


@dataclass(frozen=True)
class Truth:
    """What was planted.

    effects: compound, cmpd_sample_id, inchikey, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not
    respond. wells: how many are fit for use (`in_fit`), and how many are not, by reason. n_genes: genes that have
    an Ensembl id to themselves.
    """

    effects: pd.DataFrame
    wells: dict[str, int]
    n_genes: int


def write(
    folder: str | Path,
    *,
    compounds: int = 40,
    doses: Sequence[float] = (0.01, 0.1, 1, 10),
    replicates: int = 3,
    plates: int = 12,
    genes: int = 2400,
    seed: int = 20241203,
) -> Truth:
    """Write a release: the files of the published one, truth.csv and SHA256SUMS; a seed fixes every byte.

    A batch is `replicates` plates with the same compounds, each dose once a plate. doses: uM.

    Raises:
        ConfigError: the numbers do not fit together.
    """
    _check(compounds, doses, replicates, plates, genes)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(compounds, doses, genes, rng)
    plan = _Plan(planted, replicates, plates // replicates, rng)
    rwrite.save(folder / EXPRESSION, {"Exp": rwrite.Named(plan.batch_names(), plan.batches())})
    rwrite.save(folder / ANNOTATION, _annotation(planted.genes, rng))
    _tabbed(folder / ROBUST, pd.DataFrame(plan.robust, columns=["external_biosample_id", "plate_barcode"]))
    _tabbed(folder / COMPOUNDS, _compounds(planted, rng))
    effects = planted.effects()
    wells.finish(folder, effects)
    return Truth(effects, plan.wells, int(planted.genes["alone"].sum()))


def _check(compounds: int, doses: Sequence[float], replicates: int, plates: int, genes: int) -> None:
    if not 0 < compounds <= len(DRUGS):
        raise ConfigError(f"{compounds} compounds cannot be simulated: give from 1 to {len(DRUGS)}.")
    if not doses or len(set(doses)) < len(doses) or min(doses) <= 0:
        raise ConfigError(f"The doses {list(doses)} make no sense: give different positive numbers, in uM.")
    if replicates < 1 or plates < 1 or plates % replicates:
        raise ConfigError(f"{plates} plates are no batches of {replicates}: give a multiple of the replicates.")
    room = N_ROWS * (VEHICLE_COLUMN - 1) - EMPTY_WELLS
    needed = -(-compounds * replicates // plates) * len(doses)
    if needed > room:
        raise ConfigError(f"A plate has no room for {needed} compound wells, only {room}: give more plates.")
    if not 10 * len(GENES) <= genes <= MOST_GENES:
        raise ConfigError(f"{genes} genes cannot be simulated: give from {10 * len(GENES)} to {MOST_GENES}.")


@dataclass
class _Plan:
    """Makes the nested list plate by plate, and notes on the way what the wells are worth."""

    planted: Planted
    replicates: int
    n_batches: int
    rng: Generator
    wells: dict[str, int] = field(default_factory=dict)
    robust: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        n = len(self.planted.genes)
        self.artifact = self.rng.normal(0, 0.7, n) * (self.rng.random(n) < 0.3)
        self.toxic = self.rng.normal(0, 2, (len(POSITIVE_CONTROLS), n)) * (self.rng.random(n) < 0.2)

    def batch_names(self) -> list[str]:
        """Names of the outer list."""
        return [f"batch_{batch + 1:02d}" for batch in range(self.n_batches)]

    def batches(self) -> Iterator[dict[str, Plate]]:
        """Each batch: its plates by barcode."""
        for batch in range(self.n_batches):
            yield dict(self.plate(batch, replicate) for replicate in range(self.replicates))

    def plate(self, batch: int, replicate: int) -> tuple[str, Plate]:
        """Barcode and content of a plate."""
        barcode, number = f"VH0200{batch + 1:02d}{replicate + 1:02d}", batch * self.replicates + replicate
        wells = self.layout(batch, number)
        counts, genes = self.counts(wells), self.planted.genes["geneID"].to_numpy()
        self.note(wells, barcode)
        order = self.rng.permutation(len(genes)) if number % 2 else np.arange(len(genes))
        annotation = _wells_annotation(wells, barcode, batch + 1, replicate + 1)
        matrix = rwrite.Matrix(genes[order].tolist(), annotation.index.tolist(), [counts[order].astype(float)])
        return barcode, {
            "UMI.counts": matrix,
            "Annotation": annotation.sample(frac=1, random_state=self.rng),
        }

    def layout(self, batch: int, number: int) -> pd.DataFrame:
        """What each well holds: position (1-384, row by row), kind, drug, dose (indices), code, concentration."""
        drugs = range(batch, len(self.planted.drugs), self.n_batches)
        treated = [(drug, dose) for drug in drugs for dose in range(len(self.planted.doses))]
        free = self.rng.permutation([p for p in range(1, 385) if (p - 1) % N_COLUMNS < VEHICLE_COLUMN - 1]).tolist()
        last = [row * N_COLUMNS + VEHICLE_COLUMN + 1 for row in range(N_ROWS)]
        rows = [(free.pop(), "compound", drug, dose) for drug, dose in treated]
        if treated and number in (0, self.n_batches * self.replicates - 1):  # the first and last plate lose a well
            rows[0] = (rows[0][0], "zero_library", *treated[0])
        controls = list(range(len(POSITIVE_CONTROLS))) * WELLS_OF_A_POSITIVE_CONTROL
        rows += [(last.pop(), "positive_control", control, -1) for control in controls]
        rows += [((last or free).pop(), "empty", -1, -1) for _ in range(EMPTY_WELLS)]
        robust = self.rng.permutation(N_ROWS) < ROBUST_WELLS
        for row, good in enumerate(robust):
            kind = "vehicle" if good else "unreliable_vehicle"
            rows.append((row * N_COLUMNS + VEHICLE_COLUMN, kind, -1, -1))
        wells = [(*row, *self.given(*row[1:])) for row in sorted(rows)]
        return pd.DataFrame(wells, columns=["position", "kind", "drug", "dose", "code", "concentration"])

    def given(self, kind: str, drug: int, dose: int) -> tuple[str, str | None]:
        """Code and concentration of what is in a well; no concentration for water."""
        if kind == "positive_control":
            return POSITIVE_CONTROLS[drug], "10"
        if kind == "empty":
            return WATER, None
        return (DMSO, "0") if drug < 0 else (self.planted.drugs[drug][0], f"{self.planted.doses[dose]:g}")

    def counts(self, wells: pd.DataFrame) -> NDArray[np.int64]:
        """UMI counts, genes x wells: negative binomial around share x library x effect x plate effect."""
        share, spread = (self.planted.genes[name].to_numpy()[:, None] for name in ("share", "spread"))
        factor = np.array([_LIBRARY[kind] for kind in wells["kind"]])
        plate_effect = self.rng.normal(0, 0.15, share.shape)
        library = MEDIAN_UMI * factor * self.rng.lognormal(0, 0.3, len(wells)) * self.rng.lognormal(0, 0.15)
        mean = share * library * np.exp2(self.log2_shift(wells) + plate_effect)
        counts: NDArray[np.int64] = self.rng.poisson(mean * self.rng.gamma(1 / spread, spread, mean.shape))
        return counts

    def log2_shift(self, wells: pd.DataFrame) -> Floats:
        """Log2 change against untreated cells, genes x wells."""
        shift = np.zeros((len(self.planted.genes), len(wells)))
        for at, (kind, drug, dose) in enumerate(zip(wells["kind"], wells["drug"], wells["dose"], strict=True)):
            if kind == "compound":
                shift[:, at] = self.planted.log2_fc[drug, dose]
            elif kind == "positive_control":
                shift[:, at] = self.toxic[drug]
            elif kind == "unreliable_vehicle":
                shift[:, at] = self.artifact * self.rng.uniform(0.5, 1.5)
        return shift

    def note(self, wells: pd.DataFrame, barcode: str) -> None:
        """Count the wells by what they are worth, and list the vehicle wells that can be trusted."""
        for kind, position in zip(wells["kind"], wells["position"], strict=True):
            worth = _WORTH.get(kind, kind)
            self.wells[worth] = self.wells.get(worth, 0) + 1
            if kind == "vehicle":
                self.robust.append((_external_id(barcode, position), barcode))


def _external_id(barcode: str, position: int) -> str:
    return f"{barcode}-{position:03d}-EXT"


def _wells_annotation(wells: pd.DataFrame, barcode: str, batch: int, replicate: int) -> pd.DataFrame:
    """The 18 published columns, in their types: hours and concentration are text."""
    row, column = np.divmod(wells["position"].to_numpy() - 1, N_COLUMNS)
    names = [f"{barcode}_{position:03d}" for position in wells["position"]]
    doses = wells["concentration"].tolist()
    columns = {
        "batch_id": batch,
        "plate_barcode": barcode,
        "plate_index": f"{batch}_{replicate}",
        "well_id": [f"{chr(ord('A') + r)}{c + 1:02d}" for r, c in zip(row, column, strict=True)],
        "plate_replicate": replicate,
        "well_index": [name[-3:] for name in names],
        "col": column + 1,
        "row": row + 1,
        "biosample_id": [f"BS-{name}" for name in names],
        "external_biosample_id": [_external_id(barcode, position) for position in wells["position"]],
        "cmpd_sample_id": wells["code"].tolist(),
        "well_type": pd.Categorical([_well_type(kind) for kind in wells["kind"]]),
        "cell_line_name": "U-2 OS",
        "cell_line_ncn": "NCN-U2OS",
        "concentration": doses,
        "unit": [None if dose is None else "uM" for dose in doses],
        "hours_post_treatment": "24.0",
        "Sample": [f"{code}_{dose or 0}uM_24.0hr" for code, dose in zip(wells["code"], doses, strict=True)],
    }
    return pd.DataFrame(columns, index=names)


def _well_type(kind: str) -> str:
    return "RC" if kind.endswith("vehicle") else "EMPTY" if kind == "empty" else "SA"


def _annotation(genes: pd.DataFrame, rng: Generator) -> dict[str, pd.DataFrame]:
    """The three objects of the gene annotation, one row per geneID and Ensembl id, in no order."""
    long = genes[["geneID", "gene_ids", "symbol"]].explode("gene_ids", ignore_index=True)
    long = long.rename(columns={"gene_ids": "ensembl_gene_id", "symbol": "external_gene_name"})
    long["chromosome_name"] = long["geneID"].str.rpartition("_")[2]
    long = long.sample(frac=1, random_state=rng, ignore_index=True)
    entrez = [str(900_000_000 + i) if rng.random() < 0.8 else None for i in range(len(long))]
    mapped = long.assign(entrezgene_id=np.array(entrez, dtype=object))
    return {
        "drugseq_ensg_v98": long,
        "drugseq_ensg_v98_entrez_mapping": mapped,
        "drugseq_ensg_v98_entrez_mapping_notNULL": mapped.dropna(ignore_index=True),
    }


def _compounds(planted: Planted, rng: Generator) -> pd.DataFrame:
    """The compound table; like the published one it has no names, and not every compound has a structure."""
    rows = []
    for code, drug in planted.drugs:
        smiles = "" if drug.name in (_WITHOUT_STRUCTURE, _WITHOUT_ANYTHING) else drug.smiles
        cas = "" if drug.name == _WITHOUT_ANYTHING else drug.cas
        rows.append((code, smiles, cas, "" if drug.mechanism == INERT else drug.mechanism.replace("_", " ")))
    rows += [(code, _STRUCTURES.get(code, ""), "", "") for code in (DMSO, WATER, *POSITIVE_CONTROLS)]
    table = pd.DataFrame(rows, columns=["cmpd_sample_id", "smiles", "cas_number", "moa"])
    table.insert(1, "inchi_key", [inchikey(smiles) if smiles else "" for smiles in table["smiles"]])
    return table.sample(frac=1, random_state=rng, ignore_index=True)


def _tabbed(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, sep="\t", index=False, lineterminator="\n")
