"""docs/your_own_plates.md as it stands: on a made-up plate everywhere, on real plates where their files are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from loads import environment, query, value

from pbdb.cli import pbdb
from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import releases

BLOCK = re.compile(r"```(\w+)(?: (\S+))?\n(.*?)```", re.DOTALL)
RESPONDS = [f"ENSG{at:011d}" for at in range(900_000, 900_005)]


@pytest.fixture
def place(database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a part of the page runs, with the command line set to the database."""
    for name, text in environment(database).items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(root: Path, first: str, last: str | None = None) -> list[str]:
    """Do what the page says from one heading to another; return what its commands print."""
    page = (root / "docs/your_own_plates.md").read_text(encoding="utf-8")
    part = page[page.index(f"\n## {first}") : page.index(f"\n## {last}") if last else None]
    declared, printed = Path(), []
    for kind, name, content in BLOCK.findall(part):
        if kind == "csv":
            Path(name).write_text(content, encoding="utf-8")
        if kind == "diff":
            edit(declared, content)
        for line in re.findall(r"^\$ pbdb (.*)$", content, re.MULTILINE):
            words = shlex.split(line)
            declared = Path(f"{words[2]}.py") if words[:2] == ["etl", "new"] else declared
            printed.append(call(*words))
    return printed


def call(*words: str) -> str:
    result = CliRunner().invoke(pbdb, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def edit(declared: Path, content: str) -> None:
    """Replace the lines of a diff; each must be there, and a load must refuse the file before."""
    refused = CliRunner().invoke(pbdb, ["etl", "load", str(declared)])
    assert "has a blank in line" in str(refused.exception)
    lines = declared.read_text(encoding="utf-8").splitlines()
    for old, new in zip(*(re.findall(rf"^{sign}(.*)$", content, re.MULTILINE) for sign in ("-", r"\+")), strict=True):
        assert old in lines, old
        lines[lines.index(old)] = new
    declared.write_text("\n".join(lines) + "\n", encoding="utf-8")


def made_up_plate(folder: Path) -> None:
    """Two plates of a sheet as a lab writes it; two wells have no counts, and five genes rise with every drug."""
    drugs = ["DMSO", "torin 1", "DMSO", "vorinostat", "torin 1", "DMSO"] * 4
    sheet = pd.DataFrame({"Sample": [f"s{at:03d}" for at in range(1, 25)], "Plate": ["P1", "P2"] * 12, "Drug": drugs})
    sheet = sheet.assign(Well=[f"A{at:02d}" for at in range(1, 25)], Dose_nM=np.where(sheet.Drug == "DMSO", 0, 100))
    sheet.assign(**{"Time_h": 24, "Cell line": "MCF7"}).to_csv(folder / "sheet.csv", index=False)
    random = np.random.default_rng(1)
    level = random.lognormal(5, 0.7, 200)[:, None] * np.ones(24)
    level[:5] *= np.where(sheet.Drug == "DMSO", 1, 8)
    genes = [f"ENSG{900_000 + at:011d}.3" for at in range(200)]
    table = pd.DataFrame(random.poisson(level * random.gamma(20, 1 / 20, level.shape)), genes, sheet.Sample.tolist())
    table.drop(columns=["s003", "s009"]).to_csv(folder / "counts.csv.gz", index_label="gene")


def link(place: Path, file: Path) -> None:
    (place / file.name).symlink_to(file)


def test_a_plate_of_your_own(place: Path, root: Path, database: Settings) -> None:
    made_up_plate(place)
    printed = run(root, "From two files", "A MAC-seq plate")
    assert all(gene in printed[-2] for gene in RESPONDS)
    assert "'profile no_matrix_column': 2" in printed[-1]
    terms = "SELECT is_redistributable, technology, access FROM pbdb.dataset WHERE dataset = 'my_screen'"
    assert query(database, terms) == [(False, "DRUG-seq", "on_request")]
    effects = "SELECT compound_name, n_treated, n_vehicle, n_up FROM pbdb.effect WHERE dataset = 'my_screen' ORDER BY 1"
    assert query(database, effects) == [("torin 1", 8, 10, 5), ("vorinostat", 4, 10, 5)]
    assert not call("etl", "load", "./my_screen.py").strip()


def test_the_macseq_plate(place: Path, root: Path, shared: Path, database: Settings) -> None:
    link(place, shared / "data/drugseq_like/macpie_macseq/KP-6490-24hr")
    run(root, "A MAC-seq plate", "TempO-Seq")
    found = (
        "SELECT context_name, n_samples, n_vehicle, n_effects FROM pbdb.coverage WHERE dataset = 'macseq' ORDER BY 1"
    )
    assert query(database, found) == [("AOCS-2", 24, 1, 21), ("VOA-10841", 31, 4, 23), ("VOA-4698", 25, 2, 20)]
    ledger = "SELECT rows_in, rows_out, dropped FROM core.etl_run WHERE dataset = 'macseq' AND stage = 'transform'"
    assert query(database, ledger) == [(384, 95, {"profile no_matrix_column": 289})]
    flagged = "SELECT count(*) FROM pbdb.sample WHERE dataset = 'macseq' AND flags = '{untreated}' AND NOT in_fit"
    assert value(database, flagged) == 15


def test_the_temposeq_probes(place: Path, root: Path, shared: Path, database: Settings) -> None:
    matrix = shared / "data/tox_bulk/temposeq_rodaf/count_table_mini.tsv"
    link(place, matrix)
    genes = pd.read_parquet(shared / "data/reference/genes/embl_perturbation_catalogue_genes.parquet")
    symbols = {probe.rpartition("_")[0] for probe in pd.read_csv(matrix, sep="\t", index_col=0).index}
    genes[genes["symbol"].isin(symbols)].to_parquet(place / "genes.parquet")
    releases.import_files(database, "genes", place / "genes.parquet")
    run(root, "TempO-Seq", "Arrays")
    found = "SELECT compound_name, status, n_treated, n_vehicle, n_plates FROM pbdb.effect WHERE dataset = 'temposeq'"
    assert sorted(query(database, found)) == [
        ("benzo[a]pyrene", "ok", 2, 4, 1),
        ("cisplatin", "ok", 2, 4, 1),
    ]
    changed = """SELECT compound_name, log2_fc > 3 FROM pbdb.condition_effect
        WHERE dataset = 'temposeq' AND gene_symbol = 'ATF3' ORDER BY 1"""
    assert query(database, changed) == [("benzo[a]pyrene", True), ("cisplatin", True)]
    probes = "SELECT report -> 'genes' FROM core.etl_run WHERE dataset = 'temposeq' AND stage = 'transform'"
    assert sum(value(database, probes).values()) == 2981


def test_the_arrays(place: Path, root: Path, shared: Path, database: Settings) -> None:
    for name in ("exprs_196x2382", "samples"):
        link(place, shared / f"data/tox_bulk/tggates_small/TGGATESsmall_{name}.csv.gz")
    run(root, "Arrays")
    found = "SELECT method, n_samples, n_vehicle, n_genes FROM pbdb.fit WHERE dataset = 'tggates'"
    assert query(database, found) == [("trend", 2382, 670, 196)]
