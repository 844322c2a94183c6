"""Search on real plates: a compound's other doses come first, then compounds of its mechanism."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from databases import new_database
from loads import load, name_of, query

from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import releases
from pbdb.query import signature_index, signature_search
from pbdb.query.signature_search import Where
from pbdb.readers import gct, gctx
from pbdb.server import connect

CATALOGUE = "data/reference/genes/embl_perturbation_catalogue_genes.parquet"
PANEL = "data/l1000/geo_GSE92742/GSE92742_Broad_LINCS_gene_info.txt.gz"
PLATE = "data/l1000/plate_LJP009_A375_24H_X1_B20/LJP009_A375_24H_X1_B20_QNORM_n371x978.gct.gz"
WELLS = "data/l1000/derived_inst_info/LJP009_A375_24H_X1_B20_inst_info.txt"
LEVEL3 = "GSE70138_Broad_LINCS_Level3_INF_mlr12k_n345976x12328_2017-03-06.gctx"
MAPK = {"pd-0325901", "dabrafenib", "gdc-0879", "raf-265", "az-628", "selumetinib", "trametinib"}


@pytest.fixture(scope="module")
def plates(
    shared: Path, database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """The first plate of DRIAD and a plate of L1000, at the landmark genes, indexed."""
    folder = tmp_path_factory.mktemp("release")
    genes = folder / "genes.tsv"
    _landmarks(shared).to_csv(genes, sep="\t", index=False)
    _l1000(shared, folder)
    with new_database(database_server, tmp_path_factory.mktemp("real") / "home", template) as settings:
        releases.import_files(settings, "genes", genes, release="landmarks")
        releases.import_files(settings, "landmarks", shared / PANEL)
        load(settings, shared / "data/drugseq_like/driadrc", allow_gene_loss=True)
        load(settings, folder, "l1000", dataset="l1000_phase2", allow_gene_loss=True)
        with connect.engine(settings).begin() as connection:
            for setting in ("pbdb.few_signatures = 0", "enable_sort = off", "enable_seqscan = off"):
                connection.exec_driver_sql(f"ALTER DATABASE {name_of(settings)} SET {setting}")
        signature_index.build(connect.engine(settings))
        yield settings


def _landmarks(shared: Path) -> pd.DataFrame:
    """The landmark genes as a BioMart table: only they matter here, and 86,000 genes take a while to import."""
    panel = pd.read_csv(shared / PANEL, sep="\t", dtype=str)
    panel = panel[panel["pr_is_lm"] == "1"]
    catalogue = pd.read_parquet(shared / CATALOGUE, columns=["symbol", "synonyms", "ensembl_gene_id"])
    symbols = _symbols(catalogue)
    table = panel.assign(gene_id=panel["pr_gene_symbol"].map(symbols)).dropna().drop_duplicates("gene_id")
    return pd.DataFrame(
        {
            "Gene stable ID": table["gene_id"],
            "Gene name": table["pr_gene_symbol"],
            "Gene type": "protein_coding",
            "NCBI gene (formerly Entrezgene) ID": table["pr_gene_id"],
        }
    )


def _symbols(catalogue: pd.DataFrame) -> dict[str, str]:
    """Ensembl id by symbol; by former symbol where no gene has it now."""
    former = catalogue.assign(symbol=catalogue["synonyms"].str.split("|")).explode("symbol")
    both = pd.concat([catalogue, former]).dropna(subset=["symbol"]).drop_duplicates("symbol")
    return dict(zip(both["symbol"], both["ensembl_gene_id"], strict=True))


def _l1000(shared: Path, folder: Path) -> None:
    for path in (shared / "data/l1000/geo_GSE70138").glob("*_info*"):
        shutil.copy(path, folder / path.name)
    gctx.write(folder / LEVEL3, gct.read(shared / PLATE))
    wells = folder / "GSE70138_Broad_LINCS_inst_info_2017-03-06.txt.gz"
    wells.write_bytes(gzip.compress((shared / WELLS).read_bytes(), 1))
    told = pd.read_csv(shared / "data/l1000/dhimmel_lincs/pertinfo.tsv.gz", sep="\t", dtype=str)
    columns = ["pert_id", "pert_iname", "pert_type", "inchi_key", "canonical_smiles", "pubchem_cid"]
    told[columns].fillna("-666").to_csv(folder / "GSE92742_Broad_LINCS_pert_info.txt.gz", sep="\t", index=False)


def neighbours(settings: Settings, compound: str, dose: float, n: int = 10) -> list[str]:
    """Compounds of the effects most like that of a compound at a dose, in its own data set."""
    statement = """SELECT effect_id, dataset FROM pbdb.effect
        WHERE compound_name = :compound AND abs(dose_um - :dose) < 0.01 AND mode = 'pooled'"""
    ((effect, dataset),) = query(settings, statement, compound=compound, dose=dose)
    found = signature_search.like_effect(settings, effect, Where(datasets=[dataset], n=n))
    return [row["compound_name"] for row in found]


def test_other_doses_of_bortezomib_come_first_then_the_other_proteasome_inhibitor(plates: Settings) -> None:
    found = neighbours(plates, "bortezomib", 1.0, 5)
    assert found[:3] == ["bortezomib"] * 3 and "MG-132" in found[3:]
    assert {"MG-132", "bortezomib"} == set(neighbours(plates, "MG-132", 10.0, 3))


@pytest.mark.parametrize(("compound", "dose"), [("torin1", 10.0), ("entinostat", 3.0), ("(+)-jq1", 1.0)])
def test_other_doses_of_an_inhibitor_come_first(plates: Settings, compound: str, dose: float) -> None:
    assert neighbours(plates, compound, dose, 2) == [compound] * 2


def test_other_doses_and_the_pathway_of_a_mek_inhibitor_come_first_in_melanoma_cells(plates: Settings) -> None:
    found = neighbours(plates, "pd-0325901", 1.11)
    assert found[:2] == ["pd-0325901"] * 2 and found.count("pd-0325901") == 5
    assert sum(name in MAPK for name in found) >= 8 and {"dabrafenib", "gdc-0879"} <= set(found)


def test_active_compounds_find_themselves_far_more_often_than_by_chance(plates: Settings) -> None:
    statement = """SELECT compound_name, dose_um FROM pbdb.effect WHERE dataset = 'driad' AND mode = 'pooled'
        AND n_up + n_down >= 20 AND compound_name IN (SELECT compound_name FROM pbdb.effect
        WHERE dataset = 'driad' AND status = 'ok' GROUP BY 1 HAVING count(*) > 1) ORDER BY effect_id"""
    asked = query(plates, statement)
    first = [neighbours(plates, name, dose, 1) == [name] for name, dose in asked]
    # One in 36 by chance: three other doses among 108 conditions.
    assert len(first) >= 15 and sum(first) / len(first) > 0.5


def test_the_index_finds_what_is_nearest_on_real_plates(plates: Settings) -> None:
    effects = [row[0] for row in query(plates, "SELECT effect_id FROM core.signature ORDER BY 1")]
    hits = []
    for effect in effects[::6]:
        near, exact = (signature_search.like_effect(plates, effect, Where(exact=one)) for one in (False, True))
        hits.append(len({row["effect_id"] for row in near} & {row["effect_id"] for row in exact}) / len(exact))
    assert len(hits) >= 20 and sum(hits) / len(hits) >= 0.95
