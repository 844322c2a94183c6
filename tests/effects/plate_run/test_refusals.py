"""What the command refuses, and that it says where."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import plate
import pytest

from pbdb.common.errors import DataError

Change = Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]


def set_value(value: float) -> Change:
    def change(table: pd.DataFrame, samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        table = table.astype(float)
        table.loc["GENE03", "S002"] = value
        return table, samples

    return change


WRONG: dict[str, tuple[Change, str]] = {
    "missing count": (set_value(np.nan), "nan.*GENE03.*S002"),
    "negative count": (set_value(-3), "negative value .-3.*GENE03.*S002"),
    "fractional count": (set_value(0.25), "0.25.*log2 intensities.*GENE03.*S002"),
    "infinite count": (set_value(np.inf), "inf.*GENE03.*S002"),
    "intensities as counts": (lambda t, s: (np.log2(t + 1.5), s), "log2 intensities"),
    "sample not in the matrix": (lambda t, s: (t.drop(columns="S004"), s), "'S004' stands in 'samples.csv' but not"),
    "sample twice in the sheet": (lambda t, s: (t, pd.concat([s, s.tail(1)])), "'S013' stands twice in 'samples.csv'"),
    "sample twice in the matrix": (
        lambda t, s: (t.set_axis(["S001", *t.columns[1:]], axis=1), s),
        "sample 'S001' stands 2 times in 'matrix.csv'",
    ),
    "gene twice": (lambda t, s: (pd.concat([t, t.head(1)]), s), "gene 'GENE00' stands 2 times"),
    "no vehicle": (lambda t, s: (t, s.assign(is_control=False)), "No sample of the sheet .* is a vehicle"),
    "only vehicles": (lambda t, s: (t, s.assign(is_control=True)), "All samples .* are vehicles"),
    "column missing": (lambda t, s: (t, s.drop(columns="plate")), "no column 'plate'"),
    "bad dose": (lambda t, s: (t, s.assign(dose_um="1:1000")), "dose_um of sample 'S000' .* is '1:1000'"),
    "negative time": (lambda t, s: (t, s.assign(time_h=-1)), "time_h of sample 'S000' .* is '-1'"),
    "odd flag": (lambda t, s: (t, s.assign(is_control="perhaps")), "is_control .* is 'perhaps': give true or false"),
    "empty plate": (lambda t, s: (t, s.assign(plate=None)), "Row 2 .* has no plate"),
    "treated with nothing": (lambda t, s: (t, s.assign(compound=None)), "'S008' .* no compound"),
    "a word among the counts": (
        lambda t, s: (t.assign(S000="many"), s),
        "holds words, not numbers, in the column of sample 'S000'",
    ),
    "no gene": (lambda t, s: (t.iloc[:0], s), "holds no gene"),
    "no count at all": (lambda t, s: (t * 0, s), "All counts .* are zero"),
    "almost no counts": (lambda t, s: (t * 0 + 1, s), "No gene passes"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_counts_or_sheets_are_refused(tmp_path: Path, what: str):
    change, sentence = WRONG[what]
    samples = plate.sheet()
    said = plate.refusal(tmp_path, *change(plate.counts(samples), samples))
    assert re.search(sentence, said), said


@pytest.mark.parametrize(("value", "sentence"), [(np.inf, "infinite.*GENE03.*S002"), (1234.5, "1234.5.*GENE03.*S002")])
def test_impossible_intensities_are_refused(tmp_path: Path, value: float, sentence: str):
    samples = plate.sheet()
    table, samples = set_value(value)(plate.intensities(samples), samples)
    said = plate.refusal(tmp_path, table, samples, "--readout", "log2_intensity")
    assert re.search(sentence, said), said


def test_raw_counts_are_refused_as_intensities(tmp_path: Path):
    samples = plate.sheet()
    small = plate.counts(samples).clip(upper=40)
    assert "whole numbers" in plate.refusal(tmp_path, small, samples, "--readout", "log2_intensity")


def test_a_damaged_matrix_is_refused_in_every_format(tmp_path: Path):
    samples = plate.sheet()
    for form, inside in {"csv.gz": "", "parquet": "", "h5ad": "", "10x": "matrix.mtx.gz"}.items():
        files = plate.write(tmp_path, plate.counts(samples), samples, form)
        path = Path(files[1]) / inside
        path.write_bytes(path.read_bytes()[:-200])
        result = plate.command(*files, "--readout", "counts")
        assert isinstance(result.exception, DataError), form
        assert "damaged" in str(result.exception)


def test_a_row_that_ends_early_is_refused(tmp_path: Path):
    files = plate.write(tmp_path, plate.counts(plate.sheet()), plate.sheet())
    with Path(files[1]).open("a", encoding="utf-8") as matrix:
        matrix.write("GENE60,12,7\n")
    said = str(plate.command(*files, "--readout", "counts").exception)
    assert "Line 62 of 'matrix.csv' has 3 cells, but there are 15 headings" in said


def test_an_unknown_format_is_refused(tmp_path: Path):
    files = plate.write(tmp_path, plate.counts(plate.sheet()), plate.sheet())
    odd = tmp_path / "matrix.xls"
    odd.write_text("?")
    assert "no known format" in str(plate.command("--matrix", str(odd), *files[2:], "--readout", "counts").exception)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--readout", "log2_intensity", "--method", "voom"), "voom needs counts"),
        (("--readout", "log2_intensity", "--method", "deseq2"), "deseq2 needs counts"),
        (("--readout", "counts", "--span", "7"), "Span 7.0 makes no sense"),
        (("--readout", "counts", "--min-cells", "5"), "add the column n_cells"),
        (("--readout", "counts", "--out", "nowhere/out.parquet"), "There is no folder 'nowhere'"),
        (
            ("--readout", "counts", "--out", "effects.doc"),
            "Effects are written as .csv, .csv.gz, .xlsx",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: tuple[str, ...], sentence: str):
    assert sentence in plate.refusal(tmp_path, plate.counts(plate.sheet()), plate.sheet(), *options)


def test_no_file_is_written_over_another_of_the_same_run(tmp_path: Path):
    files = plate.write(tmp_path, plate.counts(plate.sheet()), plate.sheet(), "parquet")
    before = Path(files[1]).read_bytes()
    for options in ((*files[:4], "--out", files[1]), (*files, "--report", files[5])):
        assert "written over another file" in str(plate.command(*options, "--readout", "counts").exception)
    assert Path(files[1]).read_bytes() == before


@pytest.mark.parametrize("option", [("--mode", "both"), ("--readout", "tpm"), ("--span", "wide")])
def test_unknown_words_are_usage_errors(tmp_path: Path, option: tuple[str, str]):
    files = plate.write(tmp_path, plate.counts(plate.sheet()), plate.sheet())
    assert plate.command(*files, "--readout", "counts", *option).exit_code == 2


def test_a_run_that_fails_keeps_the_effects_of_the_one_before(tmp_path: Path):
    samples = plate.sheet()
    before = plate.run(tmp_path, plate.counts(samples), samples)
    assert plate.command(
        *plate.write(tmp_path, plate.counts(samples) * 0 + 1, samples), "--readout", "counts"
    ).exception
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), before)
