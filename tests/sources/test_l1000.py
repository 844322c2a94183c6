"""L1000: simulated releases of both phases and the real plates, through the whole load."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import contents, copy_of, load, name_of, query, value
from simulated import Simulated

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.identity.compounds.resolve import Resolution
from pbdb.identity.vocabulary import releases
from pbdb.loading import table_rows
from pbdb.readers import gct, gctx
from pbdb.simulate import l1000
from pbdb.sources import registry

PHASES = ("l1000_phase1", "l1000_phase2")


@pytest.fixture(scope="module")
def one(simulated: Callable[[str], Simulated]) -> Simulated:
    return simulated("l1000")


@pytest.mark.parametrize("dataset", PHASES)
def test_every_well_loads_or_is_counted_under_its_kind(one: Simulated, dataset: str) -> None:
    flags = query(
        one.settings,
        """SELECT coalesce(flags[1], 'in_fit'), count(*) FROM core.sample JOIN core.dataset USING (dataset_id)
        WHERE dataset = :dataset GROUP BY 1""",
        dataset=dataset,
    )
    assert dict(flags) == one.truth.wells[dataset]
    ((rows_in, rows_out, dropped),) = query(
        one.settings,
        "SELECT rows_in, rows_out, dropped FROM core.etl_run WHERE dataset = :dataset AND stage = 'transform'",
        dataset=dataset,
    )
    assert dropped == {f"profile {kind}": n for kind, n in one.truth.left_out[dataset].items()}
    assert rows_in - rows_out == sum(one.truth.left_out[dataset].values())


@pytest.mark.parametrize("dataset", PHASES)
def test_every_condition_has_an_effect_or_a_reason(one: Simulated, dataset: str) -> None:
    found = query(
        one.settings,
        "SELECT status, count(*) FROM core.effect JOIN core.dataset USING (dataset_id) WHERE dataset = :d GROUP BY 1",
        d=dataset,
    )
    assert dict(found) == one.truth.conditions[dataset]


def test_an_effect_is_what_was_planted(one: Simulated) -> None:
    key = one.truth.effects.loc[one.truth.effects["compound"] == "bortezomib", "inchikey"].iloc[0]
    planted = one.truth.effects.query("inchikey == @key and dose_um == 10.0").set_index("gene_id")["log2_fc"]
    found = query(
        one.settings,
        """SELECT gene_id, log2_fc FROM pbdb.condition_effect
        WHERE inchikey = :key AND dose_um = 10 AND context = 'CVCL:0132' AND time_h = 6""",
        key=key,
    )
    assert len(found) == one.truth.landmarks
    off = [log2_fc - planted.get(gene, 0.0) for gene, log2_fc in found]
    assert max(map(abs, off)) < 0.8
    assert abs(sum(off) / len(off)) < 0.05


def test_ids_of_one_structure_are_one_condition_and_keep_their_wells_apart(one: Simulated) -> None:
    twins = [l1000.pert_id(l1000.TWIN), l1000.pert_id(l1000.TWIN, twin=True)]
    found = query(
        one.settings,
        """SELECT condition_id, count(DISTINCT s.source_compound_id), count(*), min(s.dose_fm), max(s.dose_fm)
        FROM core.sample s JOIN core.source_compound c USING (source_compound_id) JOIN core.dataset d
        ON d.dataset_id = s.dataset_id JOIN core.context x USING (context_id)
        WHERE source_key = ANY(:twins) AND dataset = 'l1000_phase2' AND context = 'CVCL:0132' AND in_fit
        GROUP BY 1 ORDER BY 4""",
        twins=twins,
    )
    assert [row[1:3] for row in found] == [(2, 3)] * 3
    assert found[-1][3:] == (10_000_000_000, 10_000_030_000)
    doses = query(one.settings, "SELECT DISTINCT dose_um FROM pbdb.condition WHERE NOT is_vehicle ORDER BY 1")
    assert [dose for (dose,) in doses] == [0.12, 1.11, 10.0, None]


def test_a_well_whose_id_is_spelled_otherwise_stands_on_the_plate_of_the_others(one: Simulated) -> None:
    plates = "SELECT count(*) FROM core.plate JOIN core.dataset USING (dataset_id) WHERE dataset = :dataset"
    found = {dataset: value(one.settings, plates, dataset=dataset) for dataset in PHASES}
    assert found == {dataset: l1000.N_REPLICATES * len(l1000.PLATES[dataset]) for dataset in PHASES}


def test_one_name_of_two_structures_is_two_compounds(one: Simulated) -> None:
    found = query(
        one.settings,
        "SELECT count(DISTINCT compound_id) FROM core.source_compound WHERE name = 'compound-1' AND dataset_id = ("
        "SELECT dataset_id FROM core.dataset WHERE dataset = 'l1000_phase1')",
    )
    assert found == [(2,)]


def test_what_geo_withholds_the_portal_tells(one: Simulated) -> None:
    found = query(
        one.settings,
        "SELECT DISTINCT source_key, resolved_by, given_pubchem_cid FROM core.source_compound "
        "WHERE source_key = ANY(:keys) ORDER BY 1",
        keys=[l1000.pert_id(drug) for drug in (l1000.WITHHELD, l1000.BY_CID, l1000.UNTOLD)],
    )
    assert [row[1:] for row in found] == [("structure", None), ("pubchem_cid", 23725625), ("unresolved", None)]


def test_cells_are_cellosaurus_or_keep_their_name_and_parent(one: Simulated) -> None:
    found = query(one.settings, "SELECT context, parent_context, tissue, disease FROM core.context ORDER BY 1")
    assert [row for row in found if row[0].startswith("l1000:")] == [
        ("l1000:MCH58", None, "skin", "normal"),
        ("l1000:NPC", None, "central nervous system", "normal"),
        ("l1000:NPC.TAK", "l1000:NPC", "central nervous system", "normal"),
    ]
    assert ("CVCL:0132", None, "skin", "malignant melanoma") in found


def test_doses_without_a_concentration_are_null_and_counted_by_unit(one: Simulated) -> None:
    ((report,),) = query(
        one.settings, "SELECT report FROM core.etl_run WHERE stage = 'transform' AND dataset = 'l1000_phase1'"
    )
    assert report["no_dose"] == {"%": 5, "um": 5, "none": 5}
    vehicles = "SELECT count(*) FROM core.sample WHERE is_vehicle AND dose_fm <> 0"
    assert value(one.settings, vehicles) == 0


def test_effects_are_by_trend(one: Simulated) -> None:
    methods = query(one.settings, "SELECT DISTINCT method, parameters->>'robust' FROM core.fit WHERE n_samples > 0")
    assert methods == [("trend", "true")]


# --- files and bad input -------------------------------------------------------------------------------------


@pytest.fixture
def damaged(one: Simulated, tmp_path: Path) -> Path:
    return copy_of(one.folder, tmp_path / "damaged")


@pytest.fixture(scope="module")
def standing(one: Simulated, database_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A database that holds both phases, for loads that must not change it."""
    home = tmp_path_factory.mktemp("standing") / "home"
    with new_database(database_server, home, name_of(one.settings)) as settings:
        yield settings


def table(folder: Path, name: str) -> tuple[Path, pd.DataFrame]:
    (path,) = folder.glob(f"GSE92742*{name}.txt.gz")
    return path, pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def rewritten(folder: Path, name: str, **columns: object) -> None:
    path, frame = table(folder, name)
    frame.assign(**columns).to_csv(path, sep="\t", index=False)


def without(folder: Path, name: str, column: str) -> None:
    path, frame = table(folder, name)
    frame.drop(columns=column).to_csv(path, sep="\t", index=False)


def matrix_of(folder: Path) -> Path:
    (path,) = folder.glob("GSE92742*.gctx")
    return path


def truncate(folder: Path) -> None:
    path = matrix_of(folder)
    path.write_bytes(path.read_bytes()[:100_000])


def without_matrix(folder: Path) -> None:
    with h5py.File(matrix_of(folder), "a") as file:
        del file["0/DATA/0/matrix"]


def of_integers(folder: Path) -> None:
    without_matrix(folder)
    with h5py.File(matrix_of(folder), "a") as file:
        file["0/DATA/0/matrix"] = np.ones((file["0/META/COL/id"].shape[0], file["0/META/ROW/id"].shape[0]), "i4")


def unlisted(folder: Path) -> None:
    path, frame = table(folder, "inst_info")
    frame.iloc[1:].to_csv(path, sep="\t", index=False)


def unmeasured(folder: Path) -> None:
    path, frame = table(folder, "inst_info")
    extra = frame.head(1).assign(inst_id="CPC999:A01")
    pd.concat([frame, extra]).to_csv(path, sep="\t", index=False)


def twice(folder: Path) -> None:
    path, frame = table(folder, "inst_info")
    pd.concat([frame, frame.head(1)]).to_csv(path, sep="\t", index=False)


def other_genes(folder: Path) -> None:
    with h5py.File(matrix_of(folder), "a") as file:
        file["0/META/ROW/id"][:3] = [b"1", b"2", b"3"]


BAD = [
    (truncate, "damaged or incomplete"),
    (without_matrix, "has no node /0/DATA/0/matrix"),
    (of_integers, "int32 values; a matrix of floats"),
    (unlisted, "stands in 'the matrix' but not in 'inst_info'"),
    (unmeasured, "'CPC999:A01' stands in 'inst_info' but not in 'the matrix'"),
    (twice, "stands twice in 'inst_info'"),
    (other_genes, r"has no row '9\d+' \(\d such ids\)"),
    (lambda folder: rewritten(folder, "inst_info", pert_dose_unit="furlong"), "'furlong' is not a molar unit"),
    (lambda folder: rewritten(folder, "inst_info", pert_time_unit="moon"), "'moon' is not a unit of time"),
    (lambda folder: rewritten(folder, "inst_info", cell_id="XYZ"), "cells 'XYZ' are not declared"),
    (lambda folder: without(folder, "inst_info", "pert_time"), "inst_info of l1000_phase1 has no column 'pert_time'"),
    (lambda folder: without(folder, "cell_info", "subtype"), "lacks the column 'subtype'"),
    (lambda folder: rewritten(folder, "inst_info", pert_iname="?", pert_type="trt_cp"), "at least one vehicle"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_input_gives_one_sentence_and_changes_nothing(
    standing: Settings, damaged: Path, spoil: Callable[[Path], None], words: str
) -> None:
    before = contents(standing)
    spoil(damaged)
    with pytest.raises(PbdbError, match=words):
        load(standing, damaged, "l1000", dataset="l1000_phase1")
    assert contents(standing) == before
    assert not list(standing.cache.glob("**/*.part"))


def test_a_packed_matrix_is_unpacked_once_and_the_portal_may_be_absent(own: Settings, damaged: Path) -> None:
    path = matrix_of(damaged)
    (damaged / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()
    for name in l1000.PORTAL:
        (damaged / name).unlink()
    assert load(own, damaged, "l1000", dataset="l1000_phase1")["changed"]
    (unpacked,) = own.downloads.glob(f"l1000/unpacked/*/{path.name}")
    written = unpacked.stat().st_mtime_ns
    assert not load(own, damaged, "l1000", dataset="l1000_phase1")["changed"]
    assert unpacked.stat().st_mtime_ns == written
    key = l1000.pert_id(l1000.WITHHELD)
    resolved = "SELECT resolved_by FROM core.source_compound JOIN core.dataset USING (dataset_id) " \
        "WHERE source_key = :key AND dataset = 'l1000_phase1'"  # fmt: skip
    assert value(own, resolved, key=key) == "unresolved"


def test_half_of_the_portal_is_refused(standing: Settings, damaged: Path) -> None:
    (damaged / l1000.PORTAL[0]).unlink()
    with pytest.raises(PbdbError, match="only part of the set portal"):
        load(standing, damaged, "l1000", dataset="l1000_phase1")


def test_a_damaged_packed_matrix_is_told(standing: Settings, damaged: Path) -> None:
    path = matrix_of(damaged)
    packed = gzip.compress(path.read_bytes(), 1)
    (damaged / f"{path.name}.gz").write_bytes(packed[: len(packed) // 2])
    path.unlink()
    with pytest.raises(PbdbError, match="could not be unpacked"):
        load(standing, damaged, "l1000", dataset="l1000_phase1")
    assert not list(standing.downloads.glob("**/*.part"))


def test_without_a_vocabulary_of_entrez_ids_nothing_loads(one: Simulated, database: Settings) -> None:
    with pytest.raises(PbdbError, match="names its genes by Entrez id"):
        load(database, one.folder, "l1000", dataset="l1000_phase1")


# --- real plates ---------------------------------------------------------------------------------------------

GEO = "data/l1000/geo_{}"
LJP009 = "data/l1000/plate_LJP009_A375_24H_X1_B20/LJP009_A375_24H_X1_B20_{}_n371x978.gct.gz"
CPC006 = "data/l1000/plate_CPC006_A375_6H_X1"


@pytest.fixture(scope="module")
def plates(
    shared: Path, database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Both real plates in a database: GEO's tables as they are, the plates in the place of the whole matrices."""
    folder = tmp_path_factory.mktemp("plates")
    for series in ("GSE92742", "GSE70138"):
        for path in (shared / GEO.format(series)).glob("*_info*"):
            shutil.copy(path, folder / path.name)
    perturbagens_of_phase_1(shared, folder)
    shutil.copy(
        shared / CPC006 / "gctv13_01_qnorm.gctx", folder / "GSE92742_Broad_LINCS_Level3_INF_mlr12k_n1319138x12328.gctx"
    )
    packed(shared / CPC006 / "column_meta_n371.txt", folder / "GSE92742_Broad_LINCS_inst_info.txt.gz")
    name = "GSE70138_Broad_LINCS_Level3_INF_mlr12k_n345976x12328_2017-03-06.gctx"
    gctx.write(folder / name, gct.read(shared / LJP009.format("QNORM")))
    told = shared / "data/l1000/derived_inst_info/LJP009_A375_24H_X1_B20_inst_info.txt"
    packed(told, folder / "GSE70138_Broad_LINCS_inst_info_2017-03-06.txt.gz")
    with new_database(database_server, tmp_path_factory.mktemp("plates") / "home", template) as settings:
        catalogue = shared / "data/reference/genes/embl_perturbation_catalogue_genes.parquet"
        releases.import_files(settings, "genes", catalogue)
        panel = shared / GEO.format("GSE92742") / "GSE92742_Broad_LINCS_gene_info.txt.gz"
        releases.import_files(settings, "landmarks", panel)
        for dataset in PHASES:
            load(settings, folder, "l1000", dataset=dataset, plate_z=True)
        yield settings


def packed(path: Path, target: Path) -> None:
    target.write_bytes(gzip.compress(path.read_bytes(), 1))


def perturbagens_of_phase_1(shared: Path, folder: Path) -> None:
    """Table pert_info of phase 1 in GEO's columns, from a copy of it that another project enlarged."""
    told = pd.read_csv(shared / "data/l1000/dhimmel_lincs/pertinfo.tsv.gz", sep="\t", dtype=str)
    columns = ["pert_id", "pert_iname", "pert_type", "inchi_key", "canonical_smiles", "pubchem_cid"]
    target = folder / "GSE92742_Broad_LINCS_pert_info.txt.gz"
    told[columns].fillna("-666").to_csv(target, sep="\t", index=False)


def canonical_of(settings: Settings, dataset: str) -> ad.AnnData:
    (path,) = settings.cache.glob(f"{dataset}/*/samples.h5ad")
    return ad.read_h5ad(path)


def test_the_real_plates_hold_their_vehicles_compounds_and_doses(plates: Settings) -> None:
    found = query(
        plates,
        """SELECT dataset, count(*) FILTER (WHERE is_vehicle), count(*) FILTER (WHERE in_fit AND NOT is_vehicle),
        count(*) FILTER (WHERE NOT in_fit), count(DISTINCT source_compound_id) FILTER (WHERE in_fit AND NOT is_vehicle)
        FROM core.sample JOIN core.dataset USING (dataset_id) GROUP BY 1 ORDER BY 1""",
    )
    assert found == [("l1000_phase1", 16, 355, 0, 354), ("l1000_phase2", 22, 345, 4, 59)]
    doses = query(
        plates,
        """SELECT count(*), count(DISTINCT dose_fm) FROM core.condition JOIN core.dataset USING (dataset_id)
        WHERE dataset = 'l1000_phase2' AND NOT is_vehicle GROUP BY source_compound_id""",
    )
    assert sum(n == 6 for _, n in doses) == 52
    genes = query(plates, "SELECT n_genes, landmarks FROM (SELECT n_genes, (SELECT count(*) FROM core.gene g WHERE "
        "g.gene_key = ANY(gene_keys) AND is_landmark) AS landmarks FROM core.feature_set) x")  # fmt: skip
    assert genes == [(978, 978)]


@pytest.mark.parametrize("dataset", PHASES)
def test_scores_within_a_plate_are_the_published_level_4(plates: Settings, shared: Path, dataset: str) -> None:
    ours = canonical_of(plates, dataset)
    if dataset == "l1000_phase1":
        theirs = gctx.Gctx(shared / CPC006 / "gctv13_01_zs.gctx").read()
    else:
        theirs = gct.read(Path(str(shared / LJP009.format("ZSPCQNORM"))))
    order = ours.obs["source_sample"].astype(str).tolist()
    genes = dict(zip(theirs.rows["pr_gene_id"].astype(float).astype(int), range(978), strict=True))
    entrez = dict(query(plates, "SELECT gene_id, entrez_id FROM core.gene WHERE is_landmark"))
    published = theirs.values[theirs.columns.index.get_indexer(order)]
    published = published[:, [genes[entrez[gene]] for gene in ours.var_names]]
    assert np.abs(np.asarray(ours.layers["plate_z"]) - published).max() < 0.03


def test_known_drugs_do_on_the_real_plates_what_pharmacology_says(plates: Settings) -> None:
    changes = """SELECT min(log2_fc), max(log2_fc), min(p_value) FROM pbdb.condition_effect e
        JOIN core.condition c USING (condition_id) JOIN core.source_compound k USING (source_compound_id)
        WHERE k.name = :name AND e.gene_symbol = :gene AND e.dataset = :dataset"""
    for dataset, name, gene, sign in (
        ("l1000_phase2", "PD-0325901", "CCND1", -1),  # a MEK inhibitor in cells with BRAF V600E
        ("l1000_phase2", "dabrafenib", "CCND1", -1),
        ("l1000_phase1", "trichostatin-a", "CCND1", -1),
        ("l1000_phase1", "geldanamycin", "HSPA1A", 1),
        ("l1000_phase1", "geldanamycin", "HMOX1", 1),
    ):
        ((low, high, p_value),) = query(plates, changes, name=name, gene=gene, dataset=dataset)
        assert (low > 1.5 if sign > 0 else high < -2.0) and p_value < 0.05, (name, gene, low, high, p_value)


def test_vorinostat_as_a_positive_control_is_seen_but_no_condition(plates: Settings) -> None:
    scores = canonical_of(plates, "l1000_phase2")
    controls = scores.obs["flags"].astype(str) == "positive_control"
    assert controls.sum() == 4
    genes = dict(query(plates, "SELECT symbol, gene_id FROM core.gene WHERE is_landmark"))
    seen = scores[controls.to_numpy()].to_df(layer="plate_z")[[genes["CDKN1A"], genes["CCND1"]]]
    (vorinostat,) = np.flatnonzero(scores.obs.loc[controls, "perturbagen"].astype(str) == "BRD-K81418486")[:1]
    assert seen.iloc[vorinostat, 0] > 2
    assert seen.iloc[vorinostat, 1] < -1
    assert (
        value(plates, "SELECT count(*) FROM core.sample WHERE 'positive_control' = ANY(flags) AND condition_id > 0")
        == 0
    )


def test_a_cid_alone_is_the_compound_whose_structure_another_id_tells() -> None:
    known, alone = Resolution("structure", "A" * 27, pubchem_cid=5), Resolution("pubchem_cid", pubchem_cid=5)
    others = [Resolution("pubchem_cid", pubchem_cid=6), Resolution("unresolved"), Resolution("unresolved")]
    compounds = pd.DataFrame({"source_key": list("edcba"), "resolution": [known, alone, *others]})
    found = table_rows.representatives(registry.get("l1000"), compounds)
    assert found == {"a": "a", "b": "b", "c": "c", "d": "d", "e": "d"}
