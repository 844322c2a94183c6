"""Exports for other tools: equal to what the database holds, to R, and readable by the tools."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import made
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from databases import new_database
from export_worlds import DRUGS, N_GENES, rows
from loads import environment

from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, PbdbError, QueryError, SchemaError
from pbdb.common.settings import Settings
from pbdb.effects.engine import Options
from pbdb.exports import anndata_files, fingerprints, labels, selection, shards
from pbdb.exports import gctx_file as gctx_export
from pbdb.exports.limma_table import LAYERS
from pbdb.exports.selection import Choice
from pbdb.loading import dataset_load
from pbdb.server import connect

STANDARD = (
    "plate", "well", "cell_type", "perturbagen", "pert_type", "is_control", "pert_dose_uM", "pert_time_h",
    "suspension_type", "tissue", "tissue_type", "disease", "library", "stimulation", "guide", "dataset", "assay",
    "development_stage", "organism", "sex", "self_reported_ethnicity", "pubchem_cid", "psbulk_cells", "psbulk_counts",
)  # fmt: skip


# --- AnnData ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["counts_plates", "counts_two_times"])
def golden(
    request: pytest.FixtureRequest,
    shared: Path,
    database_server: Settings,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ad.AnnData, pd.DataFrame]]:
    """One golden case, loaded and exported, and the top tables of R."""
    case, place = shared / "golden" / request.param, tmp_path_factory.mktemp("golden")
    sheet = pd.read_csv(f"{case}.samples.csv", dtype=str)
    sheet = sheet.rename(columns={"sample_id": "sample", "compound": "drug", "dose_um": "dose", "time_h": "hours"})
    sheet = sheet.assign(unit="uM", cells="A", note="")[list(made.SHEET)]
    made.write(place, sheet, pd.read_csv(f"{case}.matrix.csv.gz", index_col="gene"))
    with pytest.MonkeyPatch.context() as patch, new_database(database_server, place / "home", template) as settings:
        patch.setattr(dataset_load, "Options", partial(Options, span=0.5))
        made.load(settings, place)
        anndata_files.write(settings, Choice(include=["made"]), place / "out.h5ad")
        yield ad.read_h5ad(place / "out.h5ad"), pd.read_csv(f"{case}.effects.csv.gz")


@pytest.mark.parametrize(
    "layer",
    ["logFC", "t", "CI.L", "CI.R", "stdev.unscaled", "AveExpr", "B"],
)
def test_layers_equal_limma(golden: tuple[ad.AnnData, pd.DataFrame], layer: str) -> None:
    file, table = golden
    expected = _matrix(file, table, layer)
    np.testing.assert_allclose(file.layers[layer], expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("layer", "theirs"),
    [
        ("P.Value", "P.Value"),
        ("adj.P.Value.within_one_contrast", "adj.P.Val"),
        ("adj.P.Value.across_all_contrasts", "adj.P.Val.all"),
    ],
)
def test_p_values_equal_limma_on_the_log_scale(
    golden: tuple[ad.AnnData, pd.DataFrame], layer: str, theirs: str
) -> None:
    file, table = golden
    np.testing.assert_allclose(
        np.log10(file.layers[layer]), np.log10(_matrix(file, table, theirs)), rtol=2e-6, atol=2e-6
    )


def _matrix(file: ad.AnnData, table: pd.DataFrame, column: str) -> Any:
    """R's values as conditions x genes, in the order of the file; its labels say the same in the same words."""
    wide = table.pivot(index="condition", columns="gene", values=column)
    names = [label.split(" - ")[0].upper() for label in file.obs_names]
    wide.index = wide.index.str.replace(r"\W", "_", regex=True).str.upper()
    return wide.loc[names, file.var_names].to_numpy()


@pytest.fixture(scope="module")
def folder(exports: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both datasets as AnnData files."""
    out = tmp_path_factory.mktemp("anndata") / "out"
    anndata_files.write(exports, Choice(include=["second"]), out)
    return out


def test_files_are_one_for_each_context_in_the_published_layout(folder: Path) -> None:
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.h5ad"))
    assert found == [f"{name}/CVCL_000{n}_de.h5ad" for name in ("first", "second") for n in (1, 2)]
    file = ad.read_h5ad(folder / found[0])
    assert set(file.layers) == set(LAYERS) and file.uns["context"] == "CVCL_0001"
    np.testing.assert_array_equal(file.X, file.layers["logFC"])
    assert tuple(file.obs.columns[: len(STANDARD)]) == STANDARD
    assert file.var.index.name == "ensembl_id" and "symbol" in file.var
    assert file.shape == (8, N_GENES)


def test_rows_are_labelled_and_described_as_published(folder: Path) -> None:
    obs = ad.read_h5ad(folder / "first" / "CVCL_0001_de.h5ad").obs
    assert "vorinostat_10uM_24h - DMSO_24h" in obs.index
    assert "_R__thing_1uM_24h - DMSO_24h" in obs.index
    row = obs.loc["vorinostat_10uM_24h - DMSO_24h"]
    assert (row["cell_type"], row["pert_dose_uM"], row["pubchem_cid"]) == ("CVCL_0001", 10.0, 5311)
    assert (row["psbulk_cells"], row["n_treated"], row["n_vehicle"]) == (-666, 2, 4)
    assert not row["is_control"] and row["psbulk_counts"] > 0


def test_one_dose_of_many_decimals_rounds_all_doses_of_its_dataset(folder: Path) -> None:
    names = ad.read_h5ad(folder / "second" / "CVCL_0001_de.h5ad").obs_names
    assert "vorinostat_3_3333uM_24h - DMSO_24h" in names and "vorinostat_1uM_24h - DMSO_24h" in names


@pytest.mark.parametrize(
    ("dose_fm", "rounded", "text"),
    [
        (10**10, False, "10"),
        (10**8, False, "0.1"),
        (3333333333, False, "3.333333333"),
        (1111130000, True, "1.1111"),
        (40000, True, "0"),
        (50000, True, "0.0001"),
        (10000010000, True, "10"),
        (None, True, "nan"),
    ],
)
def test_doses_are_written_as_published(dose_fm: int | None, rounded: bool, text: str) -> None:
    assert labels.dose_text(dose_fm, rounded) == text


def test_a_subset_is_adjusted_over_the_whole_fit(exports: Settings, folder: Path, tmp_path: Path) -> None:
    choice = Choice(datasets=["first"], contexts=["A"], compounds=["vorinostat"])
    anndata_files.write(exports, choice, tmp_path / "one.h5ad")
    one, whole = ad.read_h5ad(tmp_path / "one.h5ad"), ad.read_h5ad(folder / "first" / "CVCL_0001_de.h5ad")
    assert one.n_obs == 2
    for layer in LAYERS:
        np.testing.assert_array_equal(one.layers[layer], whole[one.obs_names].layers[layer])
    within, across = (one.layers[f"adj.P.Value.{scope}"] for scope in ("within_one_contrast", "across_all_contrasts"))
    assert not np.allclose(within, across)


def test_layers_written_in_blocks_are_the_same(exports: Settings, folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "BYTES_PER_BLOCK", 1)
        patch.setattr(anndata_files, "CHUNK", (3, 7))
        anndata_files.write(exports, Choice(datasets=["first"], contexts=["A"]), tmp_path / "out.h5ad")
    with h5py.File(tmp_path / "out.h5ad") as small, h5py.File(folder / "first" / "CVCL_0001_de.h5ad") as large:
        for layer in LAYERS:
            np.testing.assert_array_equal(small["layers"][layer][:], large["layers"][layer][:])


# --- what may be exported, and bad ends -----------------------------------------------------------------------------


def test_only_redistributable_datasets_unless_included(exports: Settings, tmp_path: Path) -> None:
    plain = gctx_export.write(exports, Choice(), tmp_path / "plain.gctx")
    every = gctx_export.write(exports, Choice(include=["second"]), tmp_path / "every.gctx")
    assert (plain["datasets"], every["datasets"]) == (["first"], ["first", "second"])
    with pytest.raises(QueryError, match="--include second"):
        gctx_export.write(exports, Choice(datasets=["second"]), tmp_path / "no.gctx")


@pytest.mark.parametrize("choice", [Choice(datasets=["none"]), Choice(compounds=["none"]), Choice(contexts=["none"])])
def test_a_choice_of_nothing_is_refused(exports: Settings, tmp_path: Path, choice: Choice) -> None:
    with pytest.raises(QueryError, match="none"):
        anndata_files.write(exports, choice, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_compound_or_context_is_told_as_such(exports: Settings, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no compound 'asprin'"):
        shards.write(exports, Choice(compounds=["aspirin", "asprin"]), tmp_path / "out")
    with pytest.raises(QueryError, match="no context 'C'"):
        gctx_export.write(exports, Choice(contexts=["A", "C"]), tmp_path / "out.gctx")


def test_a_missing_folder_is_refused_and_not_made(exports: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no folder '.*none'"):
        fingerprints.write(exports, Choice(), tmp_path / "none" / "x.fps")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("out", "why"), [("effects.txt", "end with .gctx"), ("/proc/x.gctx", "No such file or dir")])
def test_a_gctx_that_cannot_be_is_refused_in_plain_words(exports: Settings, tmp_path: Path, out: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        gctx_export.write(exports, Choice(datasets=["first"]), tmp_path / out)
    assert ".part" not in str(refused.value)


def test_what_is_left_out_of_shards_is_counted_in_words() -> None:
    counts = {"no_perturbation": 0, "no_dose": 2, "not_in_split": 1}
    assert shards.reasons(counts, "inchikey") == "2 conditions without a dose above 0, 1 conditions outside the split"


def test_several_fits_do_not_go_into_one_file(exports: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="several fits"):
        anndata_files.write(exports, Choice(), tmp_path / "out.h5ad")


def test_what_stands_at_the_target_stays(exports: Settings, tmp_path: Path) -> None:
    (tmp_path / "out.fps").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists already"):
        fingerprints.write(exports, Choice(), tmp_path / "out.fps")
    assert (tmp_path / "out.fps").read_text(encoding="utf-8") == "mine"


def test_a_broken_export_leaves_nothing(exports: Settings, tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards._Folder, "close", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        shards.write(exports, Choice(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_export_reads_one_moment(exported: Settings) -> None:
    n_datasets = "SELECT count(*) FROM core.dataset WHERE title LIKE 'changed%%'"
    with selection.snapshot(exported) as reading, connect.connect(exported) as other:
        assert selection.frame(reading, n_datasets, {}).iloc[0, 0] == 0
        other.execute("UPDATE core.dataset SET title = 'changed'")
        other.commit()
        assert selection.frame(reading, n_datasets, {}).iloc[0, 0] == 0


def test_what_one_fit_does_not_know_is_none_beside_fits_that_know_it(exported: Settings) -> None:
    with connect.connect(exported) as connection:
        connection.execute("UPDATE core.fit SET df_prior = NULL WHERE fit_id = (SELECT min(fit_id) FROM core.fit)")
    with selection.snapshot(exported) as reading:
        priors = [one.facts["df_prior"] for one in selection.fits(reading, Choice(include=["second"]))]
    assert len(priors) == 4 and priors.count(None) == 1


def test_a_database_without_anything_to_pass_on_is_told(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="No dataset that may be passed on"):
        fingerprints.write(database, Choice(), tmp_path / "out.fps")
    assert list(tmp_path.glob("*.fps")) == []


def test_a_database_without_tables_is_told(empty_database: Settings, tmp_path: Path) -> None:
    with pytest.raises(SchemaError):
        gctx_export.write(empty_database, Choice(), tmp_path / "out.gctx")


# --- GCTX -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gctx_file(exports: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both datasets as GCTX."""
    out = tmp_path_factory.mktemp("gctx") / "out.gctx"
    gctx_export.write(exports, Choice(include=["second"]), out)
    return out


@pytest.mark.filterwarnings("ignore")
def test_cmappy_reads_the_file(exports: Settings, gctx_file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cmapPy.pandasGEXpress.parse_gctx import parse

        found = parse(str(gctx_file))
    t = found.data_df.loc["ENSG00000900003", "first_CVCL_0001_24H:vorinostat:10"]
    expected = rows(
        exports,
        "SELECT t FROM pbdb.condition_effect WHERE dataset = 'first' AND context_name = 'A' AND dose_um = 10"
        " AND compound_name = 'vorinostat' AND gene_id = 'ENSG00000900003'",
    ).iloc[0, 0]
    assert t == pytest.approx(expected, rel=1e-6)
    column = found.col_metadata_df.loc["first_CVCL_0001_24H:vorinostat:10"]
    assert (column["pert_iname"], column["pert_idose"], column["pert_itime"]) == ("vorinostat", "10 uM", "24 h")
    assert found.data_df.shape == (N_GENES, 28) and "pr_gene_symbol" in found.row_metadata_df
    with h5py.File(gctx_file) as file:
        assert file.attrs["src"] == "out.gctx"


def test_log2_fold_changes_instead_of_t(exports: Settings, tmp_path: Path) -> None:
    from pbdb.readers.gctx import Gctx

    gctx_export.write(exports, Choice(datasets=["first"]), tmp_path / "out.gctx", "log2_fc")
    found = Gctx(tmp_path / "out.gctx").read()
    expected = rows(exports, "SELECT avg(log2_fc) FROM pbdb.condition_effect WHERE dataset = 'first'").iloc[0, 0]
    assert found.values.mean() == pytest.approx(expected, rel=1e-5)


# --- shards -----------------------------------------------------------------------------------------------------


def test_shards_hold_the_rows_of_the_database(exports: Settings, tmp_path: Path) -> None:
    done = shards.write(exports, Choice(include=["second"]), tmp_path / "out", published=True)
    assert (done["folders"], done["rows"]) == (4, 28 * N_GENES)
    found = pd.concat(pd.read_parquet(path) for path in (tmp_path / "out").glob("*/shard_*.parquet"))
    assert list(found) == ["dataset", "context", "perturbation", "readout", "log_dose", "time", "value"]
    expected = rows(
        exports,
        "SELECT e.dataset, replace(e.context, ':', '_') AS context, c.pubchem_cid::text AS perturbation,"
        " e.gene_id AS readout, log(e.dose_um) AS log_dose, e.time_h AS time, e.log2_fc::float8 AS value"
        " FROM pbdb.condition_effect e JOIN pbdb.condition c USING (condition_id)",
    )
    keys = ["dataset", "context", "perturbation", "readout", "log_dose"]
    found, expected = (table.sort_values(keys).reset_index(drop=True) for table in (found, expected))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)


def test_a_folder_describes_its_shards(exports: Settings, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(shards, "ROWS", 200)
    shards.write(exports, Choice(datasets=["first"]), tmp_path / "out", published=True)
    folder = tmp_path / "out" / "first_CVCL_0001"
    assert json.loads((folder / "info.json").read_text())["SHARDSIZE"] == 200
    metadata = pd.read_parquet(folder / "metadata.parquet")
    assert metadata["size"].tolist() == [200, 200, 80]
    assert [pq.read_metadata(tmp_path / "out" / path).num_rows for path in metadata["shard_path"]] == [200, 200, 80]
    assert set(metadata["split"]) == {"train"} and set(np.concatenate(metadata["times"])) == {24.0}
    other = pq.read_schema(tmp_path / "out" / "first_CVCL_0002" / "metadata.parquet")
    assert pq.read_schema(folder / "metadata.parquet").equals(other)


def test_shards_without_rows_are_refused(exported: Settings, tmp_path: Path) -> None:
    with connect.connect(exported) as connection:
        connection.execute("UPDATE core.compound SET pubchem_cid = NULL")
    with pytest.raises(QueryError, match=r"^No compound here has a PubChem CID: use --key parent_inchikey\.$"):
        shards.write(exported, Choice(), tmp_path / "out")
    done = shards.write(exported, Choice(), tmp_path / "out", key="inchikey")
    assert (done["folders"], done["shards"], done["left_out"]["no_perturbation"]) == (2, 2, 0)


# --- fingerprints -----------------------------------------------------------------------------------------------


def test_fingerprints_are_rdkits_in_both_formats(exports: Settings, tmp_path: Path) -> None:
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    for name in ("out.parquet", "out.fps"):
        assert fingerprints.write(exports, Choice(), tmp_path / name)["compounds"] == 5
    table = pd.read_parquet(tmp_path / "out.parquet").set_index("pubchem_cid")
    mol = Chem.MolFromSmiles(DRUGS["vorinostat"][0])
    expected = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint(mol)
    row = table.loc[5311]
    assert row["fingerprint"] == DataStructs.BitVectToBinaryText(expected)
    lines = (tmp_path / "out.fps").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["#FPS1", "#num_bits=2048"]
    assert f"{DataStructs.BitVectToFPSText(expected)}\t{row['inchikey']}" in lines


def test_fingerprints_of_an_unknown_ending_are_refused(exports: Settings, tmp_path: Path) -> None:
    with pytest.raises(PbdbError, match="neither"):
        fingerprints.write(exports, Choice(), tmp_path / "out.csv")


# --- command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"), [("anndata", "out"), ("gctx", "o.gctx"), ("shards", "out"), ("fingerprints", "o.fps")]
)
def test_commands_write_and_tell_in_json(
    exports: Settings,
    tmp_path: Path,
    command: str,
    name: str,
) -> None:
    call = ["export", command, "--dataset", "first", "--out", str(tmp_path / name), "--json"]
    done = CliRunner().invoke(pbdb, call, env=environment(exports), catch_exceptions=False)
    assert json.loads(done.stdout)["bytes"] > 0 and (tmp_path / name).exists()
