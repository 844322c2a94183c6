"""Further fits stand beside the default ones and leave them as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import new_database
from loads import copied, load, query, value

from pbdb.common.errors import ConfigError, SourceError
from pbdb.common.settings import Settings
from pbdb.effects.engine import Options
from pbdb.effects.options import FitOptions
from pbdb.loading import further_fits

DEFAULT = "SELECT effect_id, status, n_up, log2_fc FROM core.effect JOIN core.fit f USING (fit_id) WHERE f.is_default"


@pytest.fixture(scope="module")
def default(
    database_server: Settings, with_genes: str, release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A database that holds the default fits alone, and its home; to be copied."""
    with new_database(database_server, tmp_path_factory.mktemp("default") / "home", with_genes) as settings:
        load(settings, release)
        yield settings


@pytest.fixture
def driad(database_server: Settings, default: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy of that database."""
    with copied(database_server, default, tmp_path / "home") as settings:
        yield settings


def further(settings: Settings, compound: str | None = None, **chosen: Any) -> dict[str, Any]:
    options = Options(readout="counts", filter=chosen.pop("filter", "floor"))
    return further_fits.run_fits(settings, "driad", FitOptions(options, is_default=False, **chosen), compound=compound)


def test_replicate_effects_are_one_a_treated_well(driad: Settings) -> None:
    before = query(driad, DEFAULT + " ORDER BY 1")
    further(driad, mode="replicate")
    wells = "SELECT count(*) FROM core.sample WHERE in_fit AND NOT is_vehicle"
    assert value(driad, "SELECT count(DISTINCT sample_id) FROM pbdb.replicate_effect") == value(driad, wells)
    assert query(driad, DEFAULT + " ORDER BY 1") == before


def test_the_same_choices_replace_and_others_add(driad: Settings) -> None:
    first, again = further(driad, filter="limma"), further(driad, filter="limma")
    assert first == again
    further(driad, filter="none")
    assert query(driad, "SELECT filter_rule, is_default FROM core.fit ORDER BY 1") == [
        ("floor", True),
        ("limma", False),
        ("none", False),
    ]


def test_one_compound_by_deseq2_agrees_with_voom(driad: Settings) -> None:
    name = value(driad, "SELECT compound_name FROM pbdb.effect WHERE status = 'ok' ORDER BY n_up DESC LIMIT 1")
    further(driad, deseq2=True, compound=name)
    pairs = """
        SELECT corr(d.log2_fc, v.log2_fc) FROM
            (SELECT condition_id, unnest(log2_fc) AS log2_fc, unnest(gene_keys) AS gene_key FROM core.effect
             JOIN core.fit f USING (fit_id) JOIN core.feature_set USING (feature_set_id) WHERE f.method = 'deseq2') d
        JOIN (SELECT condition_id, unnest(log2_fc) AS log2_fc, unnest(gene_keys) AS gene_key FROM core.effect
             JOIN core.fit f USING (fit_id) JOIN core.feature_set USING (feature_set_id) WHERE f.method = 'voom') v
        USING (condition_id, gene_key) WHERE d.log2_fc <> 'NaN' AND v.log2_fc <> 'NaN'"""
    assert value(driad, pairs) > 0.9
    found = query(driad, "SELECT DISTINCT compound_name FROM pbdb.further_effect WHERE method = 'deseq2'")
    assert found == [(name,)]


def test_a_failure_leaves_no_fits_in_the_cache(driad: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(further_fits, "append")
    with pytest.raises(NameError):
        further(driad, filter="limma")
    assert not list(driad.cache.rglob("further_fits"))


def test_unknown_datasets_and_compounds_are_a_sentence(driad: Settings) -> None:
    with pytest.raises(SourceError, match="not loaded"):
        further_fits.run_fits(driad, "none", FitOptions(Options(readout="counts"), is_default=False))
    with pytest.raises(ConfigError, match="no compound 'nothing'"):
        further(driad, compound="nothing")


def test_choices_of_the_default_fits_are_refused_and_these_stay_the_default(driad: Settings) -> None:
    before = query(driad, DEFAULT + " ORDER BY 1")
    for compound in (None, "bortezomib"):
        with pytest.raises(ConfigError, match="made with these very choices"):
            further(driad, compound=compound)
    assert query(driad, DEFAULT + " ORDER BY 1") == before


P_VALUES = """
    SELECT p_values, count(*) FILTER (WHERE neg_log10_p_limma IS NOT NULL), count(*) FILTER (WHERE null_spread > 0),
        count(*), bool_and(cardinality(f.dispersion) IS NOT DISTINCT FROM e.n_genes)
    FROM core.effect e JOIN core.fit f USING (fit_id) WHERE status = 'ok' GROUP BY f.fit_id, 1 ORDER BY 1"""


def test_default_fits_test_counts_and_limmas_p_values_stand_beside(driad: Settings) -> None:
    ((kind, n_limma, n_spread, n, has_dispersion),) = query(driad, P_VALUES)
    assert kind == "counts" and n_limma == n_spread == n > 0 and has_dispersion
    ((share, low, high, ratio, wells),) = query(
        driad,
        "SELECT null_any_share, null_any_share_low, null_any_share_high, null_tail_ratio, n_null_wells FROM pbdb.fit",
    )
    assert low <= share <= high and ratio >= 0 and wells > 1
    both = "SELECT count(*), count(p_value), count(p_value_limma), count(p_adj_limma) FROM pbdb.condition_effect"
    ((rows, counts, limma, adjusted),) = query(driad, both)
    assert limma == adjusted == rows and 0.9 * rows < counts <= rows
    responding = "SELECT sum(n_up + n_down) FROM pbdb.effect"
    assert value(driad, responding) == value(driad, "SELECT count(*) FROM pbdb.condition_effect WHERE p_adj < 0.05")


def test_fits_of_limmas_p_values_have_those_of_the_default_ones(driad: Settings) -> None:
    options = Options(readout="counts", p_values="limma")
    further_fits.run_fits(driad, "driad", FitOptions(options, is_default=False))
    kinds = [row[:2] for row in query(driad, P_VALUES)]
    assert [kind for kind, _ in kinds] == ["counts", "limma"] and kinds[1][1] == 0
    differing = """
        SELECT count(*) FROM core.effect a JOIN core.fit f ON f.fit_id = a.fit_id AND f.p_values = 'counts'
        JOIN core.effect b ON b.condition_id = a.condition_id JOIN core.fit g ON g.fit_id = b.fit_id
        WHERE g.p_values = 'limma' AND a.status = 'ok'
          AND (a.neg_log10_p_limma, a.neg_log10_p_adj_limma, a.log2_fc, a.se)
              IS DISTINCT FROM (b.neg_log10_p, b.neg_log10_p_adj, b.log2_fc, b.se)"""
    assert value(driad, differing) == 0


def test_what_published_batches_are_made_of_has_not_changed() -> None:
    """Their parameters, from which the ids of fits are made, are those of fits made before p values could be chosen."""
    published = FitOptions(Options(), batching="published").checked()
    assert published.p_values == "limma"
    for choices in (published, FitOptions(Options("log2_intensity")), FitOptions(Options(), deseq2=True)):
        assert "p_values" not in choices.as_dict()
    assert FitOptions(Options()).as_dict()["p_values"] == "counts"
