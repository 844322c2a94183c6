"""Raw columns become canonical ones by the declaration; what contradicts it is one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import made
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pbdb.common.errors import DataError, InvalidDataError
from pbdb.readers.profile_block import ProfileBlock
from pbdb.samples import canonicalise, validate
from pbdb.sources.declaration import Flag, col, const


def raw(**changes: Any) -> pd.DataFrame:
    table = made.sheet(**changes)
    return table.mask(table == "").assign(n_counts=1000)


def samples(rules: dict[str, Any] | None = None, flags: tuple[Flag, ...] = (), **changes: Any) -> pd.DataFrame:
    declared = made.source(samples=replace(made.SOURCE.samples, **(rules or {})), flags=flags or made.SOURCE.flags)
    return canonicalise.canonical_samples(declared, raw(**changes))


def test_doses_are_exact_and_a_vehicle_has_none() -> None:
    found = samples(dose=["0.1"] * 4 + [None] * 4 + ["0.3"] * 16, unit="nM")
    assert found["dose_fm"].tolist() == [0] * 8 + [300_000] * 16
    assert str(found["dose_fm"].dtype) == "Int64"


def test_a_unit_that_is_declared_as_not_molar_gives_no_dose() -> None:
    found = samples(unit=["ug/ml"] * 12 + ["uM"] * 12)
    assert found["dose_fm"].isna().tolist() == [False] * 8 + [True] * 4 + [False] * 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "mg"}, r"'made', column 'dose': 'mg' is not a molar unit"),
        ({"unit": None}, r"column 'dose' has the value '1' without a unit"),
        ({"dose": "much", "unit": "uM"}, r"column 'dose': 'much' is not a dose"),
        ({"dose": "-1", "unit": "uM"}, r"column 'dose': '-1' is not a dose"),
        ({"hours": "soon"}, r"column 'hours': 'soon' is not a time"),
        ({"cells": "C"}, r"cells 'C' are not declared \(1 such names\)"),
        ({"cells": None}, r"sample 's00' has no cells"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        samples(**changes)


def test_a_missing_column_and_a_failing_rule_are_named() -> None:
    with pytest.raises(DataError, match=r"no column 'batch'; they have \['sample', 'plate'"):
        samples({"plate": col("batch")})
    with pytest.raises(DataError, match=r"rule of 'vehicle' \(drug is it\) fails"):
        samples({"vehicle": "drug is it"})
    with pytest.raises(DataError, match=r"rule of 'odd' \(dose\) fails"):
        samples(flags=(Flag("odd", "dose"),))


def test_texts_map_through_the_declared_values_and_no_others() -> None:
    names = {"p1": "one", "p2": "two"}
    assert samples({"plate": col("plate", values=names)})["plate"].tolist() == ["one", "two"] * 12
    with pytest.raises(DataError, match="column 'plate' has the unknown value 'p2'"):
        samples({"plate": col("plate", values={"p1": "one"})})


def test_constants_are_given_to_every_sample() -> None:
    found = samples({"time": const(6), "plate": const("only"), "dose": const(0.5)})
    assert found["time_h"].tolist() == [6.0] * 24
    assert set(found["plate"]) == {"only"}
    assert found["dose_fm"].tolist() == [0] * 8 + [5 * 10**8] * 16


def test_flags_are_listed_in_order_and_keep_samples_out_of_the_fit() -> None:
    rules = (Flag("few", "n_counts < 2000"), Flag("bad", "note == 'bad'", has_condition=False))
    found = samples(flags=rules, note=["bad"] + [None] * 23)
    assert found["flags"].tolist() == [["few", "bad"]] + [["few"]] * 23
    assert not found["in_fit"].any()
    assert found["has_condition"].tolist() == [False] + [True] * 23


@pytest.mark.parametrize("rule", ["note == 'bad'", "is_bad", "False"])
def test_a_rule_without_an_answer_for_a_sample_does_not_flag_it(rule: str) -> None:
    table = raw(note=None).assign(is_bad=pd.Series([None, False] * 12, dtype=object))
    found = canonicalise.canonical_samples(made.source(flags=(Flag("bad", rule),)), table)
    assert found["in_fit"].all()


def test_without_flags_every_sample_with_a_compound_is_in_the_fit() -> None:
    declared = replace(made.SOURCE, flags=())
    found = canonicalise.canonical_samples(declared, raw(drug=[None] + ["DMSO"] * 23))
    assert found["in_fit"].tolist() == [False] + [True] * 23


def test_attributes_keep_what_is_there() -> None:
    found = samples(note=["seen", None] * 12)
    assert found["attributes"].tolist() == [{"note": "seen"}, {}] * 12


def counts(values: Any) -> pd.DataFrame:
    matrix = np.asarray(values)
    block = ProfileBlock(pd.DataFrame({"a": range(len(matrix))}), matrix, np.array(["g"] * matrix.shape[1]))
    both = [block, replace(block, matrix=sp.csr_matrix(matrix))]
    (dense, sparse) = (canonicalise._with_counts(made.SOURCE, one) for one in both)
    pd.testing.assert_frame_equal(dense, sparse)
    return dense


def test_profiles_are_summed_without_overflow() -> None:
    assert counts(np.full((2, 3), 2**30, dtype=np.int32))["n_counts"].tolist() == [3 * 2**30] * 2
    assert counts(np.array([[1.0, 2.0]]))["n_counts"].tolist() == [3]


@pytest.mark.parametrize("bad", [-1, 0.5, np.nan, np.inf])
def test_what_are_no_counts_is_refused(bad: float) -> None:
    with pytest.raises(DataError, match=r"some counts are (negative|fractional|missing)"):
        counts(np.array([[1.0, bad]]))


def checked(**changes: Any) -> None:
    validate.check("It", samples(**changes), "counts", [])


def test_good_samples_pass() -> None:
    checked()


@pytest.mark.parametrize(
    ("changes", "where", "n_rows"),
    [
        ({"sample": ["s"] * 2 + [f"s{at}" for at in range(22)]}, "source_sample", 2),
        ({"plate": [None] * 3 + ["p"] * 21}, "plate", 3),
        ({"drug": ["DMSO"] * 8 + [None] * 16}, "compound", 16),
        ({"hours": [None] * 24}, "time_h", 24),
        ({"dose": [None] * 8 + ["0"] * 16}, "dose", 16),
        ({"drug": "x", "dose": "1", "unit": "uM"}, "is_vehicle", 24),
        ({"note": ["bad"] * 8 + [None] * 16}, "is_vehicle", 24),
    ],
)
def test_a_broken_rule_is_counted_with_examples(changes: dict[str, Any], where: str, n_rows: int) -> None:
    with pytest.raises(InvalidDataError) as caught:
        checked(**changes)
    assert [(v.where, v.n_rows) for v in caught.value.violations] == [(where, n_rows)]
    assert str(caught.value).startswith("It cannot be loaded: ")


def test_all_broken_rules_are_shown_at_once() -> None:
    with pytest.raises(InvalidDataError) as caught:
        validate.check("It", samples(plate=[None] * 24, hours=[None] * 24), "counts", ["x", "y"])
    assert [violation.where for violation in caught.value.violations] == ["plate", "time_h", "compound"]
    assert "compound: must be in the compound table, 2 rows (for example x, y)" in str(caught.value)


def test_an_empty_library_in_the_fit_is_refused_for_counts_only() -> None:
    table = samples().assign(n_counts=pd.array([0] * 24, dtype="Int64"))
    with pytest.raises(InvalidDataError, match="n_counts: must be above 0"):
        validate.check("It", table, "counts", [])
    validate.check("It", table, "log2_intensity", [])
