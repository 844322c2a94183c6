"""Agreement of effects from other fits than the default ones, and z scores over a whole data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import query

from pbdb.common.errors import DataError
from pbdb.common.settings import Settings
from pbdb.effects.engine import Options
from pbdb.effects.options import FitOptions
from pbdb.identity.vocabulary import releases
from pbdb.loading import further_fits, pipeline
from pbdb.matches.agreement import population_z
from pbdb.matches.agreement import run as agreement_run
from pbdb.matches.agreement.run import Choices
from pbdb.server import connect
from pbdb.simulate import screens
from pbdb.simulate.declarations.screens import SOURCE

TWO = ("screen_one", "screen_two")
PARAMETERS = "SELECT DISTINCT parameters -> 'fits' -> 'screen_one', parameters ->> 'fit_rule' FROM agreement_summary"
PUBLISHED_P = """
    SELECT count(*) FILTER (WHERE e.neg_log10_p_limma IS NOT NULL), count(*) FILTER (WHERE abs(u.t) < 1 AND u.p > 0.6)
    FROM core.effect e JOIN core.fit f USING (fit_id)
    CROSS JOIN LATERAL (SELECT unnest(e.log2_fc) / nullif(unnest(e.se), 0) AS t, unnest(e.neg_log10_p) AS p) u
    WHERE f.parameters ->> 'batching' = 'published' AND e.status = 'ok'"""
SCORES = "SELECT match_id, score FROM core.agreement WHERE metric = 'spearman_log2_fc' ORDER BY 1"


@pytest.fixture(scope="module")
def world(database_server: Settings, template: str, tmp_path_factory: Any) -> Iterator[Settings]:
    """Two of the simulated screens, loaded."""
    home: Path = tmp_path_factory.mktemp("screens")
    screens.write_screens(home / "release", compounds=10, genes=600, replicates=2)
    with new_database(database_server, home, template) as settings:
        releases.import_files(settings, "genes", home / "release" / screens.VOCABULARY, release="simulated")
        for dataset in TWO:
            pipeline.load_source(SOURCE, settings, pipeline.Choices(folder=home / "release"), dataset=dataset)
        yield settings


def scores(settings: Settings, **choices: Any) -> dict[int, float]:
    agreement_run.run(settings, Choices(peers=8, **choices))
    return dict(query(settings, SCORES))


def test_a_rule_without_fits_is_refused_with_the_command(world: Settings) -> None:
    with pytest.raises(DataError, match="effects run screen_one --batching published"):
        agreement_run.run(world, Choices(fit_rule="published"))


def test_effects_of_published_fits_are_compared_and_named(world: Settings) -> None:
    default = scores(world)
    ((facts, rule),) = query(world, PARAMETERS)
    assert (facts["filter"], rule) == ("floor", "default")
    options = Options(readout="counts", filter="limma", span=0.5, threads=1)
    for dataset in TWO:
        choices = FitOptions(options, is_default=False, batching="published")
        further_fits.run_fits(world, dataset, choices)
    published = scores(world, fit_rule="published")
    ((facts, rule),) = query(world, PARAMETERS)
    expected = {"method": "voom", "filter": "limma", "batching": "published", "p_values": "limma"}
    assert facts == expected and rule == "published"
    assert query(world, PUBLISHED_P) == [(0, 0)]  # limma's, of the moderated t, as ever; none of counts beside
    # The same contrasts by another span of the trend: nearly the same, and not the same.
    both = np.array([[default[key], published[key]] for key in default])
    assert len(both) == len(published) == 60 and 0 < np.abs(both[:, 0] - both[:, 1]).max() < 0.2
    assert scores(world) == default


def test_scores_over_a_whole_data_set_are_those_of_its_z_values(
    world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    moments = population_z._moments
    monkeypatch.setattr(population_z, "_moments", lambda *given: read.append(given) or moments(*given))
    found = scores(world, population_z="dataset")
    assert len(read) == len(TWO), "a data set is read once, whatever the number of contexts"
    effects = pd.DataFrame(
        query(
            world,
            """SELECT d.dataset, e.effect_id, g.gene, g.fc FROM core.effect e
            JOIN core.fit f ON f.fit_id = e.fit_id AND f.is_default
            JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
            JOIN core.dataset d ON d.dataset_id = e.dataset_id
            CROSS JOIN unnest(h.gene_keys, e.log2_fc) g (gene, fc) WHERE e.status = 'ok'""",
        ),
        columns=["dataset", "effect", "gene", "fc"],
    )
    by_gene = effects.groupby(["dataset", "gene"])["fc"]
    effects["z"] = (effects["fc"] - by_gene.transform("mean")) / by_gene.transform("std", ddof=0)
    z = effects.set_index("effect")
    for key, a, b in query(world, "SELECT match_id, effect_id_a, effect_id_b FROM core.match ORDER BY 1 LIMIT 5"):
        pair = (
            z.loc[a].set_index("gene")["z"].to_frame("a").join(z.loc[b].set_index("gene")["z"].rename("b"), how="inner")
        )
        assert found[key] == pytest.approx(pair.corr("spearman").iloc[0, 1], abs=1e-4)
    assert found != scores(world, population_z="context")


def test_the_panel_of_one_source_is_empty_and_says_so(world: Settings) -> None:
    counted = "SELECT count(*) FROM agreement_summary WHERE metric LIKE 'retrieval%'"
    agreement_run.run(world, Choices(peers=8))
    assert query(world, counted)[0][0] > 0
    agreement_run.run(world, Choices(peers=8, panel="published"))
    assert query(world, counted) == [(0,)]
    with connect.engine(world).connect() as connection:
        assert connection.exec_driver_sql(
            "SELECT DISTINCT parameters ->> 'panel' FROM pbdb.agreement_summary"
        ).all() == [("published",)]
