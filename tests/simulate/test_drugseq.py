"""The simulated DRUG-seq release: its layout, its traps, and effects that can be found again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from pbdb.common.errors import ConfigError
from pbdb.readers import rdata
from pbdb.simulate import drugseq
from pbdb.simulate.known import DRUGS, GENES, INERT, MECHANISMS
from pbdb.simulate.planted import _symbol


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drugseq")


@pytest.fixture(scope="module")
def truth(folder: Path) -> drugseq.Truth:
    return drugseq.write(folder)


@pytest.fixture(scope="module")
def plates(folder: Path, truth: drugseq.Truth) -> list[rdata.Plate]:
    return list(rdata.plates(folder / drugseq.EXPRESSION))


@pytest.fixture(scope="module")
def wells(plates: list[rdata.Plate]) -> pd.DataFrame:
    return pd.concat([plate.annotation for plate in plates])


@pytest.fixture(scope="module")
def counts(plates: list[rdata.Plate]) -> pd.DataFrame:
    """All wells x genes, joined by name."""
    frames = [pd.DataFrame(p.counts.toarray(), index=p.wells, columns=p.genes) for p in plates]
    return pd.concat(frames)


@pytest.fixture(scope="module")
def robust(folder: Path, wells: pd.DataFrame) -> pd.Series:
    trusted = pd.read_csv(folder / drugseq.ROBUST, sep="\t")["external_biosample_id"]
    return wells["external_biosample_id"].isin(trusted)


def log2_ratio(counts: pd.DataFrame, treated: pd.Index, control: pd.Index) -> pd.Series:
    def level(wells: pd.Index) -> pd.Series:
        some = counts.loc[wells]
        return np.log2(some.div(some.sum(axis=1), axis=0) * 1e6 + 20).mean()

    return level(treated) - level(control)


def test_every_compound_and_dose_is_once_on_each_plate_of_one_batch(wells: pd.DataFrame) -> None:
    mine = wells[(wells["well_type"] == "SA") & ~wells["cmpd_sample_id"].isin(drugseq.POSITIVE_CONTROLS)]
    per_condition = mine.groupby(["cmpd_sample_id", "concentration"]).agg(
        wells=("well_id", "size"), plates=("plate_barcode", "nunique"), batches=("batch_id", "nunique")
    )
    assert len(per_condition) == 160
    assert set(per_condition.itertuples(index=False, name=None)) == {(3, 3, 1)}


def test_plates_have_the_published_controls(wells: pd.DataFrame, robust: pd.Series) -> None:
    per_plate = wells.groupby("plate_barcode")["well_type"].value_counts().unstack()
    assert (per_plate["RC"] == 16).all()
    assert (per_plate["EMPTY"] == 21).all()
    assert (robust.groupby(wells["plate_barcode"]).sum() == 2).all()
    assert set(wells.loc[wells["well_type"] == "RC", "col"]) == {23}
    positive = wells["cmpd_sample_id"].isin(drugseq.POSITIVE_CONTROLS)
    assert (positive.groupby(wells["plate_barcode"]).sum() == 9).all()
    assert not wells[["plate_barcode", "well_id"]].duplicated().any()


def test_wells_are_worth_what_truth_says(
    wells: pd.DataFrame, counts: pd.DataFrame, robust: pd.Series, truth: drugseq.Truth
) -> None:
    positive = wells["cmpd_sample_id"].isin(drugseq.POSITIVE_CONTROLS)
    zero = counts.sum(axis=1).reindex(wells.index) == 0
    found = {
        "zero_library": zero.sum(),
        "empty": (wells["well_type"] == "EMPTY").sum(),
        "unreliable_vehicle": ((wells["well_type"] == "RC") & ~robust).sum(),
        "positive_control": positive.sum(),
    }
    found["in_fit"] = len(wells) - sum(found.values())
    assert found == truth.wells
    assert truth.wells["zero_library"] == 2


def test_annotation_and_genes_are_in_another_order_than_the_counts(plates: list[rdata.Plate]) -> None:
    first, second = plates[:2]
    assert list(first.annotation.index) != list(first.wells)
    assert sorted(first.annotation.index) == sorted(first.wells)
    assert list(first.genes) != list(second.genes)
    assert sorted(first.genes) == sorted(second.genes)


def test_annotation_has_the_published_columns_and_types(plates: list[rdata.Plate], shared: Path) -> None:
    published = next(rdata.plates(shared / "data" / "rdata" / "Exp_none.RData"))
    pd.testing.assert_series_equal(plates[0].annotation.dtypes, published.annotation.dtypes)
    assert published.genes[0].count(",grch38_") == plates[0].genes[0].count(",grch38_") == 1
    assert set(plates[0].annotation["hours_post_treatment"]) == {"24.0"}


def test_compound_table_has_the_published_columns(folder: Path, truth: drugseq.Truth, shared: Path) -> None:
    published = shared / "data" / "drugseq_like" / "novartis" / "MoABox_compounds_metadata.txt.gz"
    real, mine = pd.read_csv(published, sep="\t"), pd.read_csv(folder / drugseq.COMPOUNDS, sep="\t")
    assert list(mine.columns) == list(real.columns)
    controls = [drugseq.DMSO, drugseq.WATER, *drugseq.POSITIVE_CONTROLS]
    pd.testing.assert_series_equal(
        mine.set_index("cmpd_sample_id").loc[controls, "inchi_key"],
        real.set_index("cmpd_sample_id").loc[controls, "inchi_key"],
    )


def test_gene_annotation_leaves_the_promised_number_of_genes(folder: Path, truth: drugseq.Truth) -> None:
    found = rdata.objects(folder / drugseq.ANNOTATION)
    assert len(found) == 3
    pairs = found["drugseq_ensg_v98"]
    several = pairs.groupby("geneID")["ensembl_gene_id"].transform("size") > 1
    tainted = pairs["ensembl_gene_id"].isin(pairs.loc[several, "ensembl_gene_id"])
    kept = set(pairs["geneID"]) - set(pairs.loc[several | tainted, "geneID"])
    assert len(kept) == truth.n_genes < pairs["geneID"].nunique()
    assert pairs.drop_duplicates("geneID")["external_gene_name"].duplicated().any()


@pytest.mark.parametrize("name", ["bortezomib", "vorinostat", "trametinib", "simvastatin"])
def test_planted_effects_are_found_again(
    name: str, folder: Path, truth: drugseq.Truth, wells: pd.DataFrame, counts: pd.DataFrame, robust: pd.Series
) -> None:
    planted = truth.effects[(truth.effects["compound"] == name) & (truth.effects["dose_um"] == 10)]
    chosen = (wells["cmpd_sample_id"] == planted["cmpd_sample_id"].iloc[0]) & (wells["concentration"] == "10")
    pairs = rdata.objects(folder / drugseq.ANNOTATION)["drugseq_ensg_v98"]
    names = pairs.set_index("ensembl_gene_id")["geneID"]
    found = log2_ratio(counts, wells.index[chosen], wells.index[robust])
    well_known = planted[planted["gene_symbol"].isin([gene.symbol for gene in GENES])]
    assert np.corrcoef(well_known["log2_fc"], found[names[well_known["gene_id"]]])[0, 1] > 0.8
    unmoved = found.drop(names[planted["gene_id"]])
    assert unmoved.abs().quantile(0.95) < 1


def test_effects_grow_with_the_dose_and_inert_drugs_have_none(truth: drugseq.Truth) -> None:
    gene = truth.effects[truth.effects["gene_symbol"] == "HSPA6"]
    by_dose = gene[gene["compound"] == "bortezomib"].set_index("dose_um")["log2_fc"]
    assert by_dose.sort_index().is_monotonic_increasing
    assert set(truth.effects["compound"]) == {drug.name for drug in DRUGS if drug.mechanism != INERT}


def test_untrusted_vehicle_wells_would_shift_the_control(
    wells: pd.DataFrame, counts: pd.DataFrame, robust: pd.Series
) -> None:
    vehicle = wells["well_type"] == "RC"
    shift = log2_ratio(counts, wells.index[vehicle & ~robust], wells.index[robust])
    assert shift.abs().quantile(0.95) > 0.5


def test_a_seed_fixes_every_byte_and_sums_are_right(tmp_path: Path) -> None:
    small = {"compounds": 5, "plates": 2, "replicates": 2, "genes": 600, "doses": (1, 10)}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        drugseq.write(tmp_path / name, seed=seed, **small)
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in "abc"]
    assert sums[0] == sums[1] != sums[2]
    for line in sums[0].splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "a" / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"compounds": 41}, "give from 1 to 40"),
        ({"doses": (1, 1)}, "give different positive numbers"),
        ({"plates": 10}, "10 plates are no batches of 3"),
        ({"plates": 3, "doses": tuple(range(1, 11))}, "no room for 400 compound wells"),
        ({"genes": 100}, "100 genes cannot be simulated"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path: Path, numbers: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        drugseq.write(tmp_path / "x", **numbers)
    assert not (tmp_path / "x").exists()


def test_drugs_are_different_structures_and_mechanisms_name_known_genes() -> None:
    keys = {Chem.MolToInchiKey(Chem.MolFromSmiles(drug.smiles)) for drug in DRUGS}
    assert len(keys) == len(DRUGS) == 40
    symbols = {gene.symbol for gene in GENES}
    assert all(set(moved) <= symbols for moved in MECHANISMS.values())
    assert {drug.mechanism for drug in DRUGS} == set(MECHANISMS)


def test_known_genes_are_real_and_made_up_ones_are_not(shared: Path) -> None:
    folder = shared / "data" / "reference" / "genes"
    real = pd.read_parquet(folder / "embl_perturbation_catalogue_genes.parquet").set_index("ensembl_gene_id")
    renamed = {"H1F0": "H1-0"}  # since Ensembl 98
    for gene in GENES:
        assert real.at[gene.gene_id, "symbol"] == renamed.get(gene.symbol, gene.symbol)
    taken = set(real["symbol"].dropna()) | set(real["synonyms"].dropna().str.split("|").explode())
    assert taken.isdisjoint(_symbol(i) for i in range(drugseq.MOST_GENES))
    assert not real.index.str.startswith("ENSG000009").any()
