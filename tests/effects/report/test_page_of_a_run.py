"""`pbdb de run --report page.html`: one file, alone, with every figure, its table and its words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import plate
import pytest
from pages import Page, is_alone

NASTY = "<b>&\"x' </script><script>alert(1)</script>"


def sheet() -> pd.DataFrame:
    """Two plates of wells with places; two compounds at three doses, one with an odd name."""
    rows = [("DMSO", 0.0, True)] * 12
    rows += [(name, dose, False) for name in ("Torin 1", NASTY) for dose in (0.1, 1.0, 10.0) for _ in range(4)]
    table = pd.DataFrame(rows, columns=["compound", "dose_um", "is_control"])
    n = np.arange(len(table))
    return table.assign(
        sample_id=[f"S{i:03d}" for i in n], time_h=24.0, plate=[f"P{i % 2 + 1}" for i in n],
        well=[f"{chr(65 + i // 2 % 8)}{i // 16 + 1:02d}" for i in n],
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run of counts left its page."""
    folder, samples = tmp_path_factory.mktemp("page"), sheet()
    plate.run(folder, plate.counts(samples, 300), samples, "--report", str(folder / "page.html"))
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> tuple[Page, str]:
    source = (written / "page.html").read_text(encoding="utf-8")
    return Page(source), source


def test_the_page_is_alone_and_names_are_words(page: tuple[Page, str]) -> None:
    found, source = page
    assert is_alone(found, source)
    assert "alert(1)</script>" not in source
    assert [tag for tag, _ in found.elements].count("script") == 2


def test_every_figure_is_there_with_its_table_and_words(page: tuple[Page, str]) -> None:
    found, _ = page
    parts = {key.split("-")[0] for key in found.tables}
    assert parts == {"plate", "wells", "pca", "replicates", "null", "p", "trend", "doses", "volcano"}
    assert all(len(table) > 1 for table in found.tables.values())
    labels = [attributes.get("aria-label") for tag, attributes in found.elements if tag == "svg"]
    assert len(labels) == len(found.tables) and all(labels)


def test_the_numbers_are_those_of_the_effects(page: tuple[Page, str], written: Path) -> None:
    found, _ = page
    effects = pd.read_parquet(written / "out.parquet")
    assert sum(int(row["tests"]) for row in found.rows("p-values")) == effects["p_value"].notna().sum()
    degs = effects[effects["p_adj"] < 0.05].groupby(["compound", "dose_um"]).size()
    for row in found.rows("doses"):
        assert float(row["degs"]) == degs.get((row["compound"], float(row["dose_um"])), 0)
    check = plate.report(written)["fits"][0]["null_check"]
    (row,) = found.rows("null-check")
    assert float(row["any_share"]) == pytest.approx(check["any_share"], abs=1e-3)


def test_the_report_of_numbers_stays_beside_it(written: Path, page: tuple[Page, str]) -> None:
    told = plate.report(written)["page"]
    assert told["figures"] == len(page[0].tables)
    assert told["bytes"] == len(page[1].encode())


def test_intensities_single_wells_and_sheets_without_places(tmp_path: Path) -> None:
    samples = sheet().drop(columns="well")
    options = ("--readout", "log2_intensity", "--mode", "replicate", "--report", str(tmp_path / "page.html"))
    plate.run(tmp_path, plate.intensities(samples), samples, *options)
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = Page(source)
    assert is_alone(found, source)
    assert {"wells", "pca-plate", "replicates", "trend-1", "volcano-1"} <= set(found.tables)
    assert "column well" in source and "no fit has p values of counts" in source


def test_deseq2_has_a_page_without_trend(tmp_path: Path) -> None:
    samples = sheet()
    plate.run(tmp_path, plate.counts(samples), samples, "--method", "deseq2", "--report", str(tmp_path / "p.html"))
    source = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "DESeq2 fits every effect by itself" in source and "volcano-1" in Page(source).tables


def test_a_page_over_another_file_is_refused(tmp_path: Path) -> None:
    samples = sheet()
    said = plate.refusal(
        tmp_path, plate.counts(samples), samples, "--readout", "counts", "--report", str(tmp_path / "none" / "p.html")
    )
    assert "none" in said
