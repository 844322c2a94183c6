"""The life of a dataset: loaded in parts, again, changed, with other fits, and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import made
import pandas as pd
import pytest
from databases import new_database
from loads import contents, copied, query, value
from vocabulary_tables import hub

from pbdb.common.errors import ServerError
from pbdb.common.progress import Silent
from pbdb.common.settings import Settings
from pbdb.database.stage_names import STAGES
from pbdb.effects import dataset_fits
from pbdb.effects.engine import Options
from pbdb.effects.options import FitOptions
from pbdb.identity.vocabulary import releases
from pbdb.loading import dataset_load, ledger, pipeline, publish, stage_cache, table_rows
from pbdb.query.signature_search import Where, not_searched
from pbdb.samples import canonicalise, matrix_file
from pbdb.server import connect, locks
from pbdb.sources.declaration import Context

MEASURED = ("fit", "artifact")  # they hold seconds and times


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made.write(tmp_path / "release")


@pytest.fixture(scope="module")
def with_made(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A database that holds the made dataset with its effects, and its home; to be copied."""
    place = tmp_path_factory.mktemp("made")
    with new_database(database_server, place / "home", template) as settings:
        made.load(settings, made.write(place / "release"))
        yield settings


@pytest.fixture
def full(database_server: Settings, with_made: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy of that database."""
    with copied(database_server, with_made, tmp_path / "home") as settings:
        yield settings


class Heard(Silent):
    """Keeps what a load is at."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def progress(self, what: str, done: int, total: int | None) -> None:
        self.told.append(what)


def same(settings: Settings) -> dict[str, str]:
    return {name: found for name, found in contents(settings).items() if name not in MEASURED}


def count(settings: Settings, table: str) -> int:
    return int(value(settings, f"SELECT count(*) FROM core.{table}"))


def test_a_stage_is_told_as_it_begins(database: Settings, folder: Path) -> None:
    heard = Heard()
    pipeline.load_source(made.SOURCE, database, pipeline.Choices(folder=folder), reporter=heard)
    assert [what for what in heard.told if what in STAGES] == list(STAGES)
    assert heard.told[heard.told.index("effects") + 1].startswith("fit ")


def never(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("this stage was done before")


def test_conditions_are_counted_from_their_index_alone_after_a_load(database: Settings, folder: Path) -> None:
    made.load(database, folder)
    seen = "SELECT relpages > 0 AND relallvisible = relpages FROM pg_class WHERE oid = 'core.condition'::regclass"
    assert value(database, seen)


def test_samples_alone_then_effects(database: Settings, folder: Path) -> None:
    made.load(database, folder, effects=False)
    assert (count(database, "sample"), count(database, "fit"), count(database, "effect")) == (24, 0, 0)
    assert not made.load(database, folder, effects=False)["changed"]
    assert made.load(database, folder)["effects"] == {"ok": 4}
    assert (count(database, "sample"), count(database, "fit"), count(database, "effect")) == (24, 1, 4)


def test_samples_alone_again_keep_the_effects_of_the_same_samples(full: Settings, folder: Path) -> None:
    before = same(full)
    assert made.load(full, folder, effects=False, force=True)["changed"]
    assert same(full) == before
    assert not made.load(full, folder)["changed"]


def test_other_samples_alone_take_the_effects_away(full: Settings, tmp_path: Path) -> None:
    changed = made.write(tmp_path / "other", made.sheet(note="seen"))
    made.load(full, changed, effects=False)
    assert (count(full, "sample"), count(full, "fit"), count(full, "effect"), count(full, "gene_effect")) == (
        24,
        0,
        0,
        0,
    )
    assert value(full, "SELECT effects_fingerprint FROM core.dataset") is None


@pytest.mark.parametrize("until", STAGES[:4])
def test_earlier_stages_touch_no_table_and_are_not_done_again(
    database: Settings, folder: Path, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(database)
    assert not made.load(database, folder, until=until)["changed"]
    assert contents(database) == before
    if until != "extract":
        monkeypatch.setattr(canonicalise, "transform", never)
    if until == "validate":
        monkeypatch.setattr(table_rows, "dataset_tables", never)
    assert made.load(database, folder)["effects"] == {"ok": 4}


def test_a_load_in_parts_equals_a_load_at_once(full: Settings, folder: Path, tmp_path: Path) -> None:
    at_once = same(full)
    elsewhere = replace(full, home=tmp_path / "elsewhere")
    for until in STAGES[1:]:
        made.load(elsewhere, folder, until=until, force=until == "transform")
    publish.remove(connect.engine(full), "made")
    made.load(elsewhere, folder)
    assert same(full) == at_once


def test_force_does_every_stage_anew(full: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = same(full)
    called = []
    original = canonicalise.transform
    monkeypatch.setattr(canonicalise, "transform", lambda *a, **k: called.append(1) or original(*a, **k))
    assert made.load(full, folder, force=True)["changed"]
    assert called
    assert same(full) == before


def test_a_failed_load_anew_leaves_what_further_fits_read(
    full: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonicalise, "standard_obs", never)
    with pytest.raises(AssertionError):
        made.load(full, folder, force=True)
    assert publish_beside(full, Options(span=0.5, threads=1)) is None
    monkeypatch.undo()
    assert made.load(full, folder)["changed"] is False


def test_a_dry_run_says_what_would_change_and_changes_nothing(database: Settings, folder: Path, tmp_path: Path) -> None:
    before = contents(database, versions=True)
    outcome = made.load(database, folder, dry_run=True)
    assert outcome["would_change"]["sample"] == {"add": 24, "remove": 0, "keep": 0}
    assert contents(database, versions=True) == before
    assert count(database, "etl_run") == 0
    made.load(database, folder)
    fewer = made.write(tmp_path / "fewer", made.sheet().iloc[:20])
    outcome = made.load(database, fewer, dry_run=True)
    assert outcome["would_change"]["sample"] == {"add": 0, "remove": 4, "keep": 20}
    assert outcome["would_change"]["condition"] == {"add": 0, "remove": 1, "keep": 4}
    assert count(database, "sample") == 24


def test_vanished_rows_go_and_others_keep_their_ids(full: Settings, tmp_path: Path) -> None:
    def ids() -> dict[str, set[tuple[Any, ...]]]:
        tables = ("condition", "sample", "effect", "source_compound", "plate", "fit")
        return {table: set(query(full, f"SELECT {table}_id FROM core.{table}")) for table in tables}

    before = ids()
    made.load(full, made.write(tmp_path / "fewer", made.sheet().iloc[:16]))
    after = ids()
    assert {table: len(found) for table, found in after.items()} == {
        "condition": 3, "sample": 16, "effect": 2, "source_compound": 2, "plate": 2, "fit": 1,
    }  # fmt: skip
    assert all(after[table] <= before[table] for table in before)


def test_other_options_replace_the_default_fit_only(
    full: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,), samples = query(full, "SELECT fit_id FROM core.fit"), query(full, "SELECT * FROM core.sample ORDER BY 1, 2")
    monkeypatch.setattr(dataset_load, "Options", partial(Options, robust=False))
    monkeypatch.setattr(canonicalise, "transform", never)
    assert made.load(full, folder)["changed"]
    ((new, is_default),) = query(full, "SELECT fit_id, is_default FROM core.fit")
    assert (new,) != old
    assert is_default
    assert query(full, "SELECT * FROM core.sample ORDER BY 1, 2") == samples
    assert query(full, "SELECT DISTINCT fit_id FROM core.effect") == [(new,)]


def publish_beside(settings: Settings, options: Options) -> None:
    """Publish a fit of the made dataset that is not its default."""
    (folder,) = (settings.cache / "made").iterdir()
    tables, samples = stage_cache.read_tables(folder), stage_cache.read_samples(folder)
    described = tables["sample"].assign(context=samples["context"].to_numpy())
    chosen = FitOptions(options, is_default=False)
    matrix = folder / "samples.h5ad"
    stored = dataset_fits.fit_dataset("made", matrix, described, chosen, folder / "beside")
    ((print_, effects_print),) = query(settings, "SELECT fingerprint, effects_fingerprint FROM core.dataset")
    var = matrix_file.read_annotations(matrix)[1]
    publish.publish(connect.engine(settings), publish.Load("made", tables, stored, print_, effects_print, var))


def test_a_fit_beside_the_default_stays_until_the_samples_change(
    full: Settings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_beside(full, Options(span=0.5, threads=1))
    assert query(full, "SELECT is_default, count(*) FROM core.fit GROUP BY 1 ORDER BY 1") == [(False, 1), (True, 1)]
    beside = query(full, "SELECT e.* FROM core.effect e JOIN core.fit f USING (fit_id) WHERE NOT is_default ORDER BY 2")
    with monkeypatch.context() as patch:
        patch.setattr(dataset_load, "Options", partial(Options, robust=False))
        made.load(full, folder, force=True)
    kept = query(full, "SELECT e.* FROM core.effect e JOIN core.fit f USING (fit_id) WHERE NOT is_default ORDER BY 2")
    assert str(kept) == str(beside)
    assert count(full, "fit") == 2
    made.load(full, made.write(tmp_path / "other", made.sheet(note="seen")))
    assert query(full, "SELECT is_default FROM core.fit") == [(True,)]


def test_a_context_without_vehicle_is_a_status_not_a_failure(database: Settings, tmp_path: Path) -> None:
    table = made.sheet()
    table.loc[table["drug"] == "y", "cells"] = "B"
    outcome = made.load(database, made.write(tmp_path / "release", table))
    assert outcome["effects"] == {"ok": 2, "no_vehicle": 2}
    found = query(database, "SELECT context, status, count(*) FROM pbdb.effect GROUP BY 1, 2 ORDER BY 1")
    assert found == [("CVCL:0001", "ok", 2), ("CVCL:0002", "no_vehicle", 2)]
    assert query(database, "SELECT is_default FROM core.fit") == [(True,), (True,)]


def test_a_flagged_vehicle_does_not_count_as_one(database: Settings, tmp_path: Path) -> None:
    table = pd.concat([made.sheet(), made.sheet(cells="B", sample=[f"b{at}" for at in range(24)])], ignore_index=True)
    table.loc[(table["cells"] == "B") & (table["drug"] == "DMSO"), "note"] = "bad"
    outcome = made.load(database, made.write(tmp_path / "release", table))
    assert outcome["effects"] == {"ok": 4, "no_vehicle": 4}
    assert value(database, "SELECT count(*) FROM core.fit_sample") == 24


def test_doses_that_are_not_molar_have_a_status_and_blanks_no_condition(database: Settings, tmp_path: Path) -> None:
    table = made.sheet()
    table.loc[20:23, "unit"] = "ug/ml"
    table.loc[8, "drug"] = "blank"
    assert made.load(database, made.write(tmp_path / "release", table))["effects"] == {"ok": 3, "no_dose": 1}
    assert query(database, "SELECT dose_fm, dose_um FROM core.condition WHERE dose_fm IS NULL") == [(None, None)]
    assert query(database, "SELECT flags, in_fit FROM core.sample WHERE condition_id IS NULL") == [(["blank"], False)]


def test_strata_are_fitted_apart(database: Settings, tmp_path: Path) -> None:
    table = made.sheet(note=["low", "high"] * 12, plate="p1")
    declared = made.source(samples=replace(made.SOURCE.samples, stratum=made.col("note")))
    assert made.load(database, made.write(tmp_path / "release", table), declared)["effects"] == {"ok": 8}
    assert query(database, "SELECT stratum, n_samples FROM core.fit ORDER BY 1") == [("high", 12), ("low", 12)]


def test_a_dataset_is_taken_away_without_touching_another(full: Settings, folder: Path) -> None:
    second = made.source(key="made", datasets={"second": made.SOURCE.datasets["made"]})
    before = same(full)
    made.load(full, folder, second)
    assert count(full, "sample") == 48
    publish.remove(connect.engine(full), "second")
    assert same(full) == before
    assert query(full, "SELECT dataset FROM core.artifact") == [("made",)]


def test_two_loads_of_one_dataset_do_not_meet(full: Settings, folder: Path) -> None:
    with connect.engine(full).connect() as other:
        other.exec_driver_sql(f"SELECT pg_advisory_lock({locks.key_of('load made')})")
        with pytest.raises(ServerError, match="'made' is being loaded by another process"):
            made.load(full, folder, force=True)
    assert made.load(full, folder, force=True)["changed"]


def test_a_second_look_at_the_same_cells_keeps_what_is_known_of_them(full: Settings, folder: Path) -> None:
    told = made.source(contexts={"A": Context("CVCL:0001", "A", tissue="liver")})
    made.load(full, folder, told, force=True)
    made.load(full, folder, force=True)
    assert query(full, "SELECT tissue FROM core.context") == [("liver",)]


def test_the_ledger_holds_the_stages_of_a_resumed_load_once_each(database: Settings, folder: Path) -> None:
    made.load(database, folder, until="transform")
    made.load(database, folder)
    stages = query(database, "SELECT stage, status FROM core.etl_run ORDER BY etl_run_id")
    done = ["extract", "transform", "extract", "validate", "effects", "publish", "match"]
    assert stages == [(stage, "done") for stage in done]


def test_the_cache_keeps_one_canonical_matrix_and_it_is_registered(full: Settings, tmp_path: Path) -> None:
    made.load(full, made.write(tmp_path / "other", made.sheet(note="seen")))
    (folder,) = (full.cache / "made").iterdir()
    assert not (folder / "fits").exists()
    ((path, n_bytes),) = query(full, "SELECT path, n_bytes FROM core.artifact")
    assert (full.home / path).stat().st_size == n_bytes


def test_a_load_before_a_vocabulary_in_use_is_stale_until_it_is_done_again(
    full: Settings, folder: Path, tmp_path: Path
) -> None:
    engine = connect.engine(full)
    assert ledger.stale(engine) == []
    releases.import_files(full, "repurposing_hub", hub(tmp_path))
    (row,) = ledger.stale(engine)
    assert (
        row["kinds"] == ["repurposing_hub"]
        and row["run"] == f"pbdb etl load ./{row['source']}.py --dataset {row['dataset']}"
    )
    made.load(full, folder)
    assert ledger.stale(engine) == []
    assert not_searched(full, Where()) == [row["dataset"]]
