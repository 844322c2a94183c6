"""`pbdb db verify`: what was loaded well is as the specification says, and every kind of damage is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import made
import numpy as np
import pytest
import scipy.sparse as sp
from click.testing import CliRunner
from databases import new_database
from loads import copied, environment, load, query
from sqlalchemy import text

from pbdb.cli import pbdb
from pbdb.common.errors import QueryError
from pbdb.common.settings import Settings
from pbdb.effects.engine import Options, build_design
from pbdb.effects.engine.matrix import Dense
from pbdb.effects.engine.normalise import tmm
from pbdb.loading import further_fits
from pbdb.loading.verification import arrays, landmarks, least_squares, run
from pbdb.server import connect
from pbdb.sources.declaration import Files


@pytest.fixture(scope="module")
def original(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A database that holds the made dataset with its effects, and its home; to be copied."""
    place = tmp_path_factory.mktemp("made")
    with new_database(database_server, place / "home", template) as settings:
        made.load(settings, made.write(place / "release"))
        yield settings


@pytest.fixture
def full(database_server: Settings, original: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy of that database."""
    with copied(database_server, original, tmp_path / "home") as settings:
        yield settings


def checks(settings: Settings) -> dict[str, run.Verified]:
    return {verified.dataset: verified for verified in run.verify(settings)}


def test_a_good_load_has_no_difference(full: Settings) -> None:
    verified = checks(full)["made"]
    assert verified.differences == []
    assert (verified.samples, verified.conditions, verified.fits, verified.effects) == (24, 5, 1, 4)
    assert verified.refitted == 2 * 4 * run.GENES


DAMAGES = {
    "samples": "DELETE FROM part.sample WHERE source_sample = 's23'",
    "n_samples": "UPDATE core.condition SET n_samples = n_samples + 1 WHERE is_vehicle",
    "conditions": "UPDATE core.condition SET is_vehicle = NOT is_vehicle WHERE is_vehicle",
    "ids": "UPDATE core.plate SET plate = 'another' WHERE plate = 'p1'",
    "effects": "DELETE FROM part.effect WHERE effect_id = (SELECT max(effect_id) FROM core.effect)",
    "effect_ids": "UPDATE core.fit SET condition_ids = condition_ids[2:] || condition_ids[1]",
    "fit_sample": "UPDATE core.fit_sample SET sample_id = 1 "
    "WHERE sample_id = (SELECT min(sample_id) FROM core.fit_sample)",
    "n_vehicle": "UPDATE core.fit_sample SET role = 'vehicle' WHERE role = 'treated'",
    "n_treated": "UPDATE part.effect SET n_treated = n_treated + 1",
    "n_genes": "UPDATE part.effect SET n_genes = n_genes - 1",
    "n_up": "UPDATE part.effect SET n_up = n_up + 1",
    "n_down_fit": "UPDATE part.effect SET n_down_fit = n_down_fit + 1",
    "p_adj": "UPDATE part.effect SET neg_log10_p_adj[3] = neg_log10_p_adj[3] + 0.1",
    "p": "UPDATE part.effect SET neg_log10_p_limma = neg_log10_p",
    "p_of_counts": "UPDATE part.effect SET neg_log10_p = neg_log10_p_limma",
    "dispersion": "UPDATE core.fit SET dispersion = (SELECT array_agg(v * 1.1 ORDER BY n)"
    " FROM unnest(dispersion) WITH ORDINALITY u (v, n))",
    "n_landmarks": "UPDATE part.effect SET n_landmarks = n_landmarks + 1",
    "landmark_t": "UPDATE part.effect SET landmark_t = array_fill(1::real, ARRAY[978])::halfvec",
    "arrays": "UPDATE part.effect SET se = trim_array(se, 1)",
    "orientations": "UPDATE part.gene_effect SET log2_fc[2] = log2_fc[2] + 0.001 "
    "WHERE gene_key = (SELECT max(gene_key) FROM core.gene_effect)",
    "signatures": "INSERT INTO core.signature SELECT effect_id, dataset_id, fit_id, condition_id, 978,"
    " array_fill(1::real, ARRAY[978])::public.halfvec FROM core.effect LIMIT 1",
    "matrix": "UPDATE core.artifact SET sha256 = reverse(sha256)",
}


@pytest.mark.parametrize("check", DAMAGES)
def test_damage_is_seen(full: Settings, check: str) -> None:
    with connect.engine(full).begin() as connection:
        assert connection.execute(text(DAMAGES[check])).rowcount
    assert check in {difference.check for difference in checks(full)["made"].differences}


def test_a_landmark_of_another_t_is_seen(full: Settings) -> None:
    """All genes of the fit as landmarks, and vectors made by hand for so few; then one number is changed."""
    number_them = """UPDATE core.gene g SET is_landmark = true, landmark_index = n.place FROM (
        SELECT gene_key, row_number() OVER (ORDER BY gene_key) - 1 AS place FROM core.gene_effect GROUP BY gene_key
    ) n WHERE n.gene_key = g.gene_key"""
    fill = """UPDATE part.effect e SET n_landmarks = cardinality(e.log2_fc), landmark_t = (
        SELECT (array_agg(greatest(-50, least(50, coalesce(u.fc / nullif(u.se, 0), 0)))::real ORDER BY g.landmark_index)
            || array_fill(0::real, ARRAY[978 - cardinality(e.log2_fc)]))::halfvec
        FROM core.fit f JOIN core.feature_set s USING (feature_set_id),
            unnest(s.gene_keys, e.log2_fc, e.se) u (gene_key, fc, se) JOIN core.gene g USING (gene_key)
        WHERE f.fit_id = e.fit_id) WHERE e.log2_fc IS NOT NULL"""
    with connect.engine(full).begin() as connection:
        for statement in (number_them, fill):
            assert connection.execute(text(statement)).rowcount
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "FEWEST", 1)
        # The copy that search compares is as it was.
        assert {difference.check for difference in checks(full)["made"].differences} == {"signatures"}
        change = "((landmark_t::real[])[1:3] || 9::real || (landmark_t::real[])[5:978])::halfvec"
        with connect.engine(full).begin() as connection:
            connection.execute(text(f"UPDATE part.effect SET landmark_t = {change} WHERE landmark_t IS NOT NULL"))
        differences = checks(full)["made"].differences
    (difference,) = (difference for difference in differences if difference.check == "landmark_t")
    assert re.fullmatch(
        r"landmark_t of effect \d+, landmark 3: 9 is loaded, .* by log2_fc / se", difference.examples[0]
    )


@pytest.mark.parametrize("columns", ["log2_fc", "se"])
def test_values_that_are_wrong_in_both_orientations_are_seen(full: Settings, columns: str) -> None:
    changed = f"(SELECT array_agg(v * 1.01 ORDER BY n) FROM unnest({columns}) WITH ORDINALITY u (v, n))"
    with connect.engine(full).begin() as connection:
        for table in ("effect", "gene_effect"):
            connection.execute(text(f"UPDATE part.{table} SET {columns} = {changed}"))
    differences = checks(full)["made"].differences
    assert {difference.check: difference.examples[0].split(" by ")[1] for difference in differences} == {
        "refit": "least squares",
        "p": "its t",
    }


def test_genes_under_each_others_names_are_seen(full: Settings) -> None:
    swapped = "gene_keys[2] || (gene_keys[1] || gene_keys[3:])"
    with connect.engine(full).begin() as connection:
        connection.execute(text(f"UPDATE core.feature_set SET gene_keys = {swapped}"))
    assert {"ids", "orientations"} <= {difference.check for difference in checks(full)["made"].differences}


def test_a_matrix_that_is_gone_is_said(full: Settings) -> None:
    ((path,),) = query(full, "SELECT path FROM core.artifact")
    (full.home / path).unlink()
    (difference,) = checks(full)["made"].differences
    assert (difference.check, difference.n) == ("matrix", 1)
    assert difference.examples[0].endswith("is not there: load the dataset again")


def test_further_fits_are_verified_too(full: Settings) -> None:
    for changes in ({"mode": "replicate"}, {"options": Options(span=0.5, robust=False, threads=1)}):
        choices = further_choices(**changes)
        further_fits.run_fits(full, "made", choices)
    verified = checks(full)["made"]
    assert verified.differences == []
    assert verified.fits == 3
    assert verified.refitted == 2 * run.GENES * (4 + 8 + 4)


def further_choices(**changes: Any) -> Any:
    from pbdb.effects.options import FitOptions

    return FitOptions(**({"options": Options(threads=1)} | changes), is_default=False)


def intensities(files: Files, dataset: str) -> Iterator[made.ProfileBlock]:
    """Logarithms of counts; those that end with 0 are missing."""
    for block in made.blocks(files, dataset):
        counts = sp.csr_matrix(block.matrix).toarray().astype(float)
        yield replace(block, matrix=np.where(counts % 10 == 0, np.nan, np.log2(counts + 1)))


def test_intensities_with_missing_values(database: Settings, tmp_path: Path) -> None:
    """Several contexts, an effect without estimate, genes that lack values or all vehicle."""
    table = made.sheet()
    table = made.pd.concat([table, made.sheet(cells="B", sample=[f"b{at}" for at in range(24)])], ignore_index=True)
    table.loc[table.index[-4:], "plate"] = "p3"
    counts = made.counts(table["sample"].tolist())
    counts.iloc[0, :8] = 10
    folder = made.write(tmp_path / "release", table, counts)
    declared = made.source(assay=made.Assay("made", "log2_intensity"), blocks=intensities)
    assert made.load(database, folder, declared)["effects"] == {"ok": 7, "confounded_with_plate": 1}
    verified = checks(database)["made"]
    assert verified.differences == []
    assert verified.refitted == 2 * run.GENES * 7
    with connect.engine(database).begin() as connection:
        connection.execute(text("UPDATE part.effect SET neg_log10_p[1:60] = log2_fc[1:60] WHERE status = 'ok'"))
    assert {"p", "p_adj"} <= {difference.check for difference in checks(database)["made"].differences}


def test_a_simulated_release(settings: Settings, release: Path) -> None:
    load(settings, release)
    (verified,) = run.verify(settings)
    assert verified.differences == []
    assert verified.refitted > 0


def test_of_a_large_fit_the_trend_comes_from_a_part_of_the_genes(
    settings: Settings, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(settings, release)
    monkeypatch.setattr("pbdb.loading.verification.refits.VALUES_AT_ONCE", 20_000)
    (verified,) = run.verify(settings)
    assert verified.differences == []


def test_the_command_line(full: Settings) -> None:
    told: list[tuple[str, int, int | None]] = []
    run.verify(full, "made", lambda what, done, total: told.append((what, done, total)))
    assert told[-1] == ("verify made", 1, 1)
    done = CliRunner().invoke(pbdb, ["db", "verify"], env=environment(full))
    assert done.exit_code == 0, done.output
    assert "1 of 1 datasets are as the specification says" in done.stderr
    with connect.engine(full).begin() as connection:
        connection.execute(text("UPDATE part.effect SET n_up = n_up + 1"))
    done = CliRunner().invoke(pbdb, ["db", "verify", "made", "--json"], env=environment(full))
    assert done.exit_code == 1
    (verified,) = json.loads(done.stdout)
    assert [difference["check"] for difference in verified["differences"]] == ["n_up"]
    done = CliRunner().invoke(pbdb, ["db", "verify"], env=environment(full))
    assert (done.exit_code, "n_up" in done.stdout) == (1, True)


def test_an_unknown_dataset_is_refused(full: Settings) -> None:
    with pytest.raises(QueryError, match="did you mean 'made'"):
        run.verify(full, "mode")


def test_adjustment_is_that_of_benjamini_and_hochberg() -> None:
    p = np.array([[0.01, 0.04, 0.03, np.nan, 0.005], [1.0, np.nan, np.nan, np.nan, 0.5]])
    with np.errstate(invalid="ignore"):
        found = 10 ** -arrays.adjusted(-np.log10(p))
    assert found == pytest.approx(
        np.array([[0.02, 0.04, 0.04, np.nan, 0.02], [1, np.nan, np.nan, np.nan, 1]]), nan_ok=True
    )


def test_orientation_tells_any_change_of_place_or_value() -> None:
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(5, 7)).astype(np.float32) for name in arrays.BY_GENE}
    values["se"][2, 3] = np.nan
    by_effect, by_gene, swapped = (arrays.Orientation(range(5), range(10, 17)) for _ in range(3))
    for rows in (slice(0, 2), slice(2, 5)):
        by_effect.add_effects(rows, {name: block[rows] for name, block in values.items()})
    for rows in (slice(0, 4), slice(4, 7)):
        by_gene.add_genes(rows, {name: block.T[rows] for name, block in values.items()})
    swapped.add_effects(slice(0, 5), {name: block[:, [1, 0, *range(2, 7)]] for name, block in values.items()})
    for name in arrays.BY_GENE:
        assert (by_effect.by_effect[name] == by_gene.by_effect[name]).all()
        assert (by_effect.by_gene[name] == by_gene.by_gene[name]).all()
        assert (by_effect.by_gene[name] != swapped.by_gene[name]).tolist() == [True, True, *[False] * 5]


def test_tmm_trims_equal_levels_as_the_engine_does() -> None:
    """Few counts, many equal levels: which of them are trimmed follows from the formula as it is written."""
    draw = np.random.default_rng(1)
    counts = draw.poisson(np.geomspace(0.01, 3, 2000) * draw.uniform(0.3, 3, (24, 1)), (24, 2000)).astype(float)
    counts = counts[:, counts.any(axis=0)]
    library = counts.sum(axis=1)
    label = np.repeat(["vehicle", "drug"], 12)
    design = build_design(label, label == "vehicle")
    of_engine = tmm(Dense(counts), design, np.arange(counts.shape[1]), library[design.samples])
    assert least_squares.tmm(lambda: iter(counts), library)[design.samples] == pytest.approx(of_engine, rel=1e-9)


def test_least_squares_is_numpys() -> None:
    rng = np.random.default_rng(0)
    group, plate = rng.integers(0, 4, 40), rng.integers(0, 3, 40)
    weight, y = rng.uniform(0.5, 2, 40), rng.normal(size=40)
    design = np.column_stack([group[:, None] == np.arange(4), plate[:, None] == np.arange(1, 3)]).astype(float)
    root = np.sqrt(weight)
    b, rss, *_ = np.linalg.lstsq(design * root[:, None], y * root)
    unscaled = np.linalg.inv(design.T @ (design * weight[:, None]))
    fitted = least_squares.refit(group, plate, y, weight, [(2, 1), (3, 9)])
    assert fitted.log2_fc == pytest.approx([b[2] - b[1], np.nan], nan_ok=True)
    assert fitted.sigma == pytest.approx(np.sqrt(rss[0] / 34))
    assert fitted.stdev_unscaled[0] == pytest.approx(np.sqrt(unscaled[1, 1] + unscaled[2, 2] - 2 * unscaled[1, 2]))
