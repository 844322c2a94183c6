"""DILImap: primary human hepatocytes under some 300 compounds with liver-injury labels, bulk RNA-seq.

Two data sets share their wells: the training split alone, and training and validation loaded together. Which wells
pass, and which doses are one, depends on all that is loaded together, so the training wells of the second are not
exactly those of the first; what was decided stands in the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.readers.annotated import Annotated
from pbdb.source import (
    Assay,
    CompoundColumns,
    Context,
    Dataset,
    Features,
    File,
    Files,
    Flag,
    ProfileBlock,
    SampleColumns,
    Source,
    col,
    const,
)

if TYPE_CHECKING:
    import scipy.sparse as sp

PARTS = {"dilimap_train": ("training",), "dilimap_train_val": ("training", "validation")}
OBS_COLUMNS = (
    "COMPOUND", "CONCENTRATION_UM", "TIMEPOINT_HOURS", "PLATE_NAME", "WELL_ID", "LIBRARY_ID", "SPECIES", "BATCH_ID",
    "SPLIT", "LDH_QC", "CMPD_DOSE",
)  # fmt: skip
TOLERANCE = 0.015  # of log10 of a dose
N_SD_COUNTS, MOST_MITO_PERCENT = 2.5, 9
N_SD_CORRELATION, LEAST_CORRELATION, FEW_REPLICATES = 3, 0.99, 4
LABELS = ("DILI_label", "DILI_confidence")
WELLS_A_BLOCK = 512


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """Wells in the order of the files, with what quality control and clustering of doses say of each."""
    together = Together.read(files, dataset)
    wells = together.wells.join(quality(together))
    wells = wells.assign(is_vehicle=wells["COMPOUND"] == "DMSO", is_replaced=wells["COMPOUND"] == "DMSO_replaced")
    doses = harmonised(wells)
    wells = wells.assign(dose=_looked_up(wells["CONCENTRATION_UM"], doses))
    facts = _facts(dataset, wells, doses) | {"genes_some_part_lacks": together.n_lacking}
    for start in range(0, len(wells), WELLS_A_BLOCK):
        some = wells.iloc[start : start + WELLS_A_BLOCK]
        counts = together.rows(np.arange(start, start + len(some)))
        yield ProfileBlock(some.reset_index(drop=True), counts, together.genes, facts=facts)
        facts = {}


# --- what is loaded together -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Together:
    """The matrices of a data set, one below the other, with the genes that all of them have."""

    matrices: list[Annotated]
    wells: pd.DataFrame
    genes: np.ndarray[Any, Any]
    is_mito: np.ndarray[Any, Any]
    n_lacking: int

    @classmethod
    def read(cls, files: Files, dataset: str) -> Together:
        """Tables of every part, in order; the matrices stay where they are."""
        matrices: list[Annotated] = [files[part] for part in PARTS[dataset]]
        for matrix in matrices:
            matrix.need(obs=OBS_COLUMNS, var=("gene_id",))
        names = [_gene_ids(matrix) for matrix in matrices]
        common = set(names[0]).intersection(*names[1:])
        kept = names[0].isin(common)
        is_mito = matrices[0].var.index.astype(str).str.startswith("MT-")[kept]
        genes = names[0][kept].to_numpy(dtype=object)
        n_lacking = len(set(names[0]).union(*names[1:])) - len(genes)
        return cls(matrices, _wells([matrix.obs for matrix in matrices]), genes, is_mito, n_lacking)

    def rows(self, positions: np.ndarray[Any, Any]) -> sp.csr_matrix:
        """Counts of wells at ascending positions, genes in common order."""
        import scipy.sparse as sp

        parts, start = [], 0
        for matrix in self.matrices:
            inside = positions[(positions >= start) & (positions < start + matrix.shape[0])] - start
            parts.append(matrix.rows(inside)[:, _gene_ids(matrix).get_indexer(pd.Index(self.genes))])
            start += matrix.shape[0]
        return sp.vstack(parts, format="csr")


def _gene_ids(matrix: Annotated) -> pd.Index[str]:
    names = pd.Index(matrix.var["gene_id"].astype(str))
    if names.has_duplicates:
        raise DataError(
            f"The gene '{names[names.duplicated()][0]}' stands twice in a matrix of DILImap.",
            column="gene_id",
            value=names[names.duplicated()][0],
        )
    return names


def _wells(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The wells of all parts; of equal names the later ones get a number, as the matrices' own library does it."""
    wells = pd.concat([part[list(OBS_COLUMNS)].astype(object) for part in parts])
    names = pd.Series(wells.index.astype(str))
    again = names.groupby(names).cumcount()
    species = wells["SPECIES"].astype(str).str.strip().str.lower()
    if (species != "human").any():
        raise DataError(
            f"DILImap has cells of '{species[species != 'human'].iloc[0]}', which its declaration does not.",
            column="SPECIES",
            value=species[species != "human"].iloc[0],
        )
    return wells.assign(
        sample=names.where(again == 0, names + "-" + again.astype(str)).to_numpy(),
        CONCENTRATION_UM=pd.to_numeric(wells["CONCENTRATION_UM"], errors="coerce"),
        is_training=wells["SPLIT"].astype(str).str.lower().str.startswith("train"),
    ).reset_index(drop=True)


# --- quality control -------------------------------------------------------------------------------------------


def quality(together: Together) -> pd.DataFrame:
    """What each well is worth: passes_ldh, passes_counts, passes_mito, passes_correlation.

    The limit of counts is the median less 2.5 standard deviations of log10 counts over all wells loaded.
    """
    wells = together.wells
    measured = pd.concat([_plate(together, plate) for _, plate in wells.groupby("PLATE_NAME", sort=False)]).sort_index()
    log_counts = np.log10(measured["n"].clip(lower=1))
    limit = log_counts.median() - N_SD_COUNTS * log_counts.std()
    return pd.DataFrame(
        {
            "passes_ldh": wells["LDH_QC"] == "",
            "passes_counts": log_counts > limit,
            "passes_mito": 100 * measured["n_mito"] < MOST_MITO_PERCENT * measured["n"],
            "passes_correlation": measured["correlation"] > measured["limit"],
            "least_log10_counts": limit,
        }
    )


def _plate(together: Together, plate: pd.DataFrame) -> pd.DataFrame:
    """Counts of the wells of a plate, how well each agrees with its replicates, and how well it has to.

    The limit is the median of a group less 3 standard deviations, taken over as many wells of each group of the plate
    as its smallest group has, as the authors' package (dilimap 1.0.5) takes them; at least 0.99.
    """
    counts = together.rows(plate.index.to_numpy())
    with np.errstate(divide="ignore", invalid="ignore"):  # a well of zeros agrees with nothing
        alike = np.corrcoef(counts.toarray().astype(np.float64))
    groups = [np.asarray(group) for group in plate.groupby("CMPD_DOSE", sort=False).indices.values()]
    best = [_best(alike[np.ix_(group, group)]) for group in groups]
    firsts = np.concatenate([values[: min(map(len, groups))] for values in best])
    spread = float(firsts[np.isfinite(firsts)].std()) if np.isfinite(firsts).any() else 0.0
    measured = pd.DataFrame({"n": _sums(counts), "n_mito": _sums(counts[:, together.is_mito])}, index=plate.index)
    measured["correlation"], measured["limit"] = np.nan, LEAST_CORRELATION
    for group, values in zip(groups, best, strict=True):
        of_many = _robust(alike[np.ix_(group, group)]) if len(group) > FEW_REPLICATES else values
        limit = max(float(np.median(of_many)) - N_SD_CORRELATION * spread, LEAST_CORRELATION)
        measured.loc[plate.index[group], ["correlation", "limit"]] = np.column_stack(
            [of_many, np.full(len(group), limit)]
        )
    return measured


def _best(alike: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Correlation of each well with the replicate most like it; NaN for a well without one."""
    best: np.ndarray[Any, Any] = _others(alike)[:, 0]
    return np.where(np.isfinite(best), best, np.nan)


def _robust(alike: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Mean correlation of each well with the half of its replicates most like it.

    The published rule takes the top n / 2 + 1 of n, of which the well itself, sorted first, counts for nothing.
    """
    means: np.ndarray[Any, Any] = _others(alike)[:, : len(alike) // 2].mean(axis=1)
    return np.where(np.isfinite(means), means, np.nan)


def _others(alike: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Correlations of each well, the highest first, its own and undefined ones last."""
    is_last = np.eye(len(alike), dtype=bool) | ~np.isfinite(alike)
    descending: np.ndarray[Any, Any] = np.sort(np.where(is_last, -np.inf, alike), axis=1)[:, ::-1]
    return descending


def _sums(counts: sp.csr_matrix) -> np.ndarray[Any, Any]:
    sums: np.ndarray[Any, Any] = np.asarray(counts.sum(axis=1)).ravel()
    return sums


def _passes(wells: pd.DataFrame) -> pd.Series[bool]:
    checks = ["passes_ldh", "passes_counts", "passes_mito", "passes_correlation"]
    passes: pd.Series[bool] = wells[checks].all(axis=1) & ~wells["is_replaced"]
    return passes


# --- doses -----------------------------------------------------------------------------------------------------


def harmonised(wells: pd.DataFrame) -> dict[float, float]:
    """Give each dose of the wells that pass the one it stands for: doses within 0.015 in log10 are one.

    Training doses go before others, frequent before rare; each joins the nearest anchor within reach, or becomes one.
    An anchor's doses are called by the one with fewest decimals, training doses first, then the nearest.
    """
    treated = wells[_passes(wells) & ~wells["is_vehicle"]]
    times = Counter(treated["CONCENTRATION_UM"].dropna())
    training = set(treated.loc[treated["is_training"], "CONCENTRATION_UM"])
    clusters: dict[float, list[float]] = {}
    for dose in sorted(times, key=lambda candidate: (candidate not in training, -times[candidate], candidate)):
        clusters.setdefault(_nearest(dose, clusters), []).append(dose)
    return {
        dose: _representative(anchor, members, training) for anchor, members in clusters.items() for dose in members
    }


def _nearest(dose: float, anchors: Iterable[float]) -> float:
    """The nearest anchor within reach; the dose itself where there is none."""
    reach = [(abs(np.log10(dose / anchor)), anchor) for anchor in anchors if dose > 0 and anchor > 0]
    distance, anchor = min(reach, default=(np.inf, dose))
    return anchor if distance <= TOLERANCE else dose


def _representative(anchor: float, members: Sequence[float], training: set[float]) -> float:
    preferred = [dose for dose in members if dose in training] or list(members)
    return min(preferred, key=lambda dose: (_decimals(dose), abs(dose - anchor), dose))


def _decimals(dose: float) -> int:
    exponent = Decimal(f"{dose:g}").as_tuple().exponent
    return max(0, -int(exponent))


def _looked_up(doses: pd.Series[float], known: Mapping[float, float]) -> list[float]:
    """The dose of every well; one that only failed wells have joins the nearest within reach."""
    nearest = {dose: known.get(_nearest(dose, known), dose) for dose in set(doses.dropna()) - set(known)}
    return [known.get(dose, nearest.get(dose, dose)) for dose in doses]


def _facts(dataset: str, wells: pd.DataFrame, doses: Mapping[float, float]) -> dict[str, object]:
    """What was decided by looking at all wells: it differs between the two data sets."""
    passed = ("passes_ldh", "passes_counts", "passes_mito", "passes_correlation")
    failed = {name.removeprefix("passes_"): int((~wells[name]).sum()) for name in passed}
    return {
        "decided_over": list(PARTS[dataset]),
        "least_log10_counts": round(float(wells["least_log10_counts"].iloc[0]), 4),
        "failed": failed | {"any": int((~_passes(wells)).sum()), "replaced": int(wells["is_replaced"].sum())},
        "doses_taken_as": {
            f"{dose:g}": f"{standard:g}" for dose, standard in sorted(doses.items()) if standard != dose
        },
    }


# --- compounds -------------------------------------------------------------------------------------------------


def compounds(files: Files) -> pd.DataFrame:
    """Every compound of the wells by its name, with structure and labels where the label table has it."""
    parts = [part for part in ("training", "validation") if part in files]
    names = sorted({str(name) for part in parts for name in files[part].obs["COMPOUND"]})
    labels = files["labels"].drop_duplicates("compound_name").rename(columns={"compound_name": "COMPOUND"})
    labelled = pd.DataFrame({"COMPOUND": names}).merge(labels, on="COMPOUND", how="left")
    labelled = labelled.reindex(columns=["COMPOUND", "smiles", *LABELS])
    labelled.loc[labelled["COMPOUND"].isin(["DMSO", "DMSO_replaced"]), "smiles"] = "CS(C)=O"
    return labelled


# --- the declaration -------------------------------------------------------------------------------------------

ON_REQUEST = (
    "ask Cellarity for the training counts of DILImap (dilimap.org; the agreement allows academic, internal, "
    "non-commercial use for a time, after which they are deleted) and save them as 'adata_training_counts.h5ad'; from "
    "the public package 'public/data' of the S3 bucket 'dilimap', read by the Python package dilimap, save "
    "'compound_DILI_labels.csv'"
)
VALIDATION = " and 'validation_data_counts.h5ad', the latter as 'adata_validation_counts.h5ad'"


def _dataset(release: str, get: str, is_primary: bool) -> Dataset:
    return Dataset(
        release=release,
        license="by agreement with Cellarity: academic, internal, non-commercial use for a limited time; neither "
        "counts nor results may be passed on",
        citation="Bergen et al. 2025, Nature Communications 16:9860",
        doi="10.1038/s41467-025-65690-3",
        access="on_request",
        is_non_commercial=True,
        overlap_group="dilimap",
        is_primary=is_primary,
        get=get,
    )


SOURCE = Source(
    key="dilimap",
    title="DILImap: drug-induced liver injury in primary human hepatocytes",
    homepage="https://dilimap.org",
    assay=Assay("SMART-seq bulk RNA-seq", "counts"),
    datasets={
        "dilimap_train": _dataset("training split", ON_REQUEST, is_primary=False),
        "dilimap_train_val": _dataset("training and validation splits", ON_REQUEST + VALIDATION, is_primary=True),
    },
    files={
        "training": File("adata_training_counts.h5ad", Annotated),
        "validation": File("adata_validation_counts.h5ad", Annotated, datasets=("dilimap_train_val",)),
        "labels": File(
            "compound_DILI_labels.csv", readers.csv, columns=("compound_name", "smiles"), others_allowed=True
        ),
    },
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("PLATE_NAME"),
        well=col("WELL_ID"),
        compound=col("COMPOUND"),
        dose=col("dose", unit="uM"),
        time=col("TIMEPOINT_HOURS", unit="h"),
        context=const("hepatocyte"),
        vehicle="is_vehicle",
        attributes=("LIBRARY_ID", "SPLIT", "BATCH_ID", "CONCENTRATION_UM", "LDH_QC"),
    ),
    features=Features("gene_id"),
    contexts={
        "hepatocyte": Context(
            "CL:0000182",
            "hepatocyte",
            "primary_cell",
            tissue="liver",
            disease="normal",
            sex="female",
            development_stage="37-year-old stage",
            ethnicity="Caucasian",
        )
    },
    compounds=CompoundColumns(
        table=compounds,
        key="COMPOUND",
        name="COMPOUND",
        smiles="smiles",
        annotations=dict.fromkeys(LABELS, "toxicity_label"),
    ),
    flags=(
        Flag("failed_ldh", "not passes_ldh"),
        Flag("replaced_vehicle", "is_replaced", has_condition=False),
        Flag("low_counts", "not passes_counts"),
        Flag("high_mito", "not passes_mito"),
        Flag("low_correlation", "not passes_correlation"),
    ),
    aliases={"Imipramine2": 8228},
)
