"""Pages of figures come from lines alone; what lines do not tell is a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import beyond
import compendium_lines
import lines
import pytest
import report
import report_charts

MACHINE = "x86_64, 2 CPUs, 16 GiB, Python 3.12.3"
ABOUT = {"machine": MACHINE, "date": "2026-05-04T10:00:00+00:00", "load_average": 0.7}
KNOWN = {"matching": "Time of matching.", "gctx_read": "Read rows.", "de_scale": "Whole contexts."}


def line(name: str, **more: Any) -> dict[str, Any]:
    return (
        {"name": name, "ours": 2.0, "peer": 9.0, "peer_name": "pandas", "ratio": 4.5, "peak_rss_mb": 812} | ABOUT | more
    )


GROWING = [{"what": what, "times": n, "seconds": 1.5 * n} for what in ("rank", "compounds") for n in (1, 2, 4)]
ASKED = {"question": "coverage", "budget_ms": 100, "cold_ms": 61.0, "rows": 136, "p50_ms": 3.25, "p95_ms_8": 40.0}


def stage(dataset: str | None, name: str, seconds: float | str, share: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"name": "compendium", "share": share, "dataset": dataset, "stage": name, "seconds": seconds} | ABOUT | more


def run(share: float, times: float = 1.0) -> list[dict[str, Any]]:
    """A run of two data sets."""
    return [
        stage("tahoe", "effects", 3600 * times, share, peak_mb=4096, mb=0),
        stage("tahoe", "publish", str(360 * times), share, peak_mb=512, mb=2000 * share),
        stage("driad", "effects", 36 * times, share, peak_mb=100),
        stage(None, "snapshot", 72 * times, share, mb=500 * share),
    ]


def test_a_page_of_no_lines_says_what_to_run() -> None:
    page = report.page([], KNOWN)
    assert "There is no line yet: run `make bench`." in page
    assert "The compendium has not been measured yet" in page
    assert "Not measured yet: `de_scale`, `gctx_read`, `matching`." in page
    assert report.figures([]).startswith("The compendium has not been measured yet")


def test_every_ratio_stands_with_its_machine_date_and_load() -> None:
    page = report.page([line("matching", sizes={"conditions": 411514}), line("de_scale_pooled", ratio=2113.4)], KNOWN)
    assert f"| `matching` | 4.5 | 812 | 2026-05-04 | 0.7 | {MACHINE} |" in page
    assert f"| `de_scale_pooled` | 2,113 | 812 | 2026-05-04 | 0.7 | {MACHINE} |" in page
    assert "Time of matching. Ours 2; pandas: 9. Sizes: conditions 411,514." in page
    assert "Not measured yet: `gctx_read`." in page


def test_the_last_line_of_a_benchmark_counts_and_machines_stand_beside_each_other() -> None:
    page = report.page([line("matching"), line("matching", ratio=6), line("matching", ratio=3, machine="arm64")], KNOWN)
    assert "| 4.5 |" not in page
    assert "| `matching` | 6 |" in page
    assert "| `matching` | 3 |" in page


def test_what_a_line_does_not_tell_is_a_sentence() -> None:
    bare = {"name": "matching", "ratio": 2.5}
    page = report.page([bare, line("gctx_read", ratio=None, peer=None), line("strange")], KNOWN)
    assert "| `matching` | 2.5 | unknown | unknown | unknown | unknown |" in page
    assert f"Without a peer:\n\n* `gctx_read` (2026-05-04, load 0.7, {MACHINE}): Read rows." in page
    assert "Lines of kinds that this page does not know: `strange`." in page


def test_seconds_by_stage_and_data_set() -> None:
    page = report.page(run(1.0), KNOWN)
    assert "from files to matches 67 minutes, every stage 68 minutes, 2.5 GB on disk" in page
    assert "| tahoe | 3,600 | 360 |  | 3,960 |" in page
    assert "| **seconds** | 3,636 | 360 | 72 | 4,068 |" in page
    assert "| **peak MB** | 4,096 | 512 | unknown |  |" in page
    assert "Growth is not known: only the whole compendium was measured." in page
    assert "The lines do not tell the row of `compendium`." in page


def test_growth_and_the_row_of_the_compendium() -> None:
    row = {"name": "compendium_row", "ours": {"contexts": 136}, "published": {"contexts": 136, "samples": 1250881}}
    page = report.page([*run(1.0), *run(0.5, 0.4), row | {"differences": ["no samples"]}], KNOWN)
    assert "| contexts | 136 | 136 |\n| samples | unknown | 1,250,881 |" in page
    assert "\n* no samples\n" in page
    assert "| 0.5 | 1,598 | 1,627 | 4,096 |\n| 1 | 3,996 | 4,068 | 4,096 |" in page


def test_a_step_done_again_counts_once_and_what_is_left_out_is_told() -> None:
    again = [*run(1.0), stage("driad", "effects", 40), stage("l1000", "done", 1, left_out="effects: no disk")]
    (found,) = compendium_lines.runs([*again, stage("driad", "generate", 999)])
    assert found.seconds["driad", "effects"] == 40
    assert found.datasets == ["tahoe", "driad", compendium_lines.ALL]
    assert "Left out: l1000, done: effects: no disk." in report.page(again, KNOWN)
    assert report.figures([found]).endswith("Left out: l1000, done: effects: no disk.\n")
    assert "Left out" not in report.page([*again, stage("l1000", "done", 1)], KNOWN)


def test_questions_stand_beside_their_budgets_and_learning_beside_its_sizes() -> None:
    told = [
        line("queries", questions=[ASKED], remark="Beside a load."),
        line("embed_lowrank_growth", growth=GROWING, sizes={"rank": 16}),
    ]
    page = report.page(told, KNOWN)
    assert "| question | rows | budget ms | cold ms | p50 ms | p95 ms 8 |" in page
    assert "| coverage | 136 | 100 | 61 | 3.2 | 40 |" in page
    assert "rank 16." in page and "says how they were asked. Beside a load.\n" in page


def test_hours_at_multiples_follow_the_formula() -> None:
    matched = [stage(None, "agreement", 100 * share**2, share) for share in (1.0, 0.5)]
    runs = compendium_lines.runs([*run(1.0), *run(0.5, 0.25), *matched])
    found = beyond.beyond(runs, cores=2, factor=10, workers=20)
    assert found.hours["effects"] == pytest.approx(3636 * 10 / 3600)  # each data set by itself
    assert found.hours["agreement"] == pytest.approx(100 * 10**2 / 3600)  # half the size took a quarter: slope 2
    assert found.hours_cluster == pytest.approx(((3636 * 2 / 20 + 360) * 10 + (72 + 100) * 10**2) / 3600)
    assert found.disk_gb == pytest.approx(25)
    assert beyond.slope([(1.0, 50.0)]) == 1


def test_growth_compares_what_all_shares_measured_and_the_rest_is_counted_in_proportion() -> None:
    further = stage("op3", "effects", 300, 0.5, peak_mb=9000)
    of_half = compendium_lines.runs([*run(0.5), *run(1.0), stage("tahoe", "done", 1, left_out="effects: no disk")])
    assert compendium_lines.largest(of_half)["tahoe", "publish"] == (0.5, 360)
    assert ("tahoe", "publish") not in compendium_lines.alike(of_half)[0].seconds
    runs = compendium_lines.runs([*run(1.0), *run(0.5, 0.5), further])
    assert [found.total_seconds for found in compendium_lines.alike(runs)] == [2034, 4068]
    page = report.page([*run(1.0), *run(0.5, 0.5), further], KNOWN)
    assert "| 0.5 | 1,998 | 2,034 | 4,096 |\n| 1 | 3,996 | 4,068 | 4,096 |" in page
    assert "in proportion to it (seconds and disk): op3, effects: 10 minutes. Without these, from" in page
    assert "from files to matches 77 minutes, every stage" in page and "| op3 | 600 |  |  | 600 |" in page
    whole = compendium_lines.completed(runs)
    assert whole.load_seconds == pytest.approx(3996 + 600) and whole.peak_of("effects") == 9000
    assert beyond.beyond(runs, cores=2, factor=1).hours["effects"] == pytest.approx((3636 + 600) / 3600)


def test_the_further_page_gets_its_figures_between_its_marks() -> None:
    text = f"before\n{report.START}\nold\n{report.END}\nafter\n"
    page = report.with_figures(text, run(1.0))
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page
    assert "| **hours, one machine** | 1.1 | 11.3 | 113.0 |" in page
    assert "Every b is 1. Largest peak: 4.0 GiB (effects)." in page
    assert report.with_figures(page, run(1.0)) == page
    with pytest.raises(SystemExit, match="lacks the marks"):
        report.with_figures("no marks", [])


def test_pictures_are_drawn_for_light_and_dark_pages(tmp_path: Path) -> None:
    told = [line("matching"), line("gctx_read", ratio=0.5), line("embed_lowrank_growth", growth=GROWING)]
    report.draw([*run(1.0), *run(0.5), *told], tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        f"{name}_{theme}.{kind}"
        for name in ("seconds", "growth", "learning", "ratios")
        for theme in report_charts.THEMES
        for kind in ("svg", "png")
    )
    drawn = (tmp_path / "seconds_dark.svg").read_text()
    assert report_charts.THEMES["dark"]["background"] in drawn
    assert ">tahoe<" in drawn
    assert "@" not in drawn


def test_a_line_carries_where_and_when_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "results" / "lines.jsonl"
    monkeypatch.setenv(lines.KEPT_IN, str(kept))
    lines.report({"name": "matching", "ours": 1.23456, "sizes": {"rows": 12345678, "share": [0.333333, 123456.7]}})
    lines.report({"name": "other", "peak_rss_mb": 7})
    first, second = lines.read([kept])
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == first
    assert (first["ours"], first["sizes"]) == (1.235, {"rows": 12345678, "share": [0.3333, 123457]})
    assert first["peak_rss_mb"] > 0
    assert {"machine", "date", "load_average"} < set(first)
    assert second["peak_rss_mb"] == 7


def test_what_is_no_line_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('{"name": "matching"}\n\n{"no": 1}\n')
    with pytest.raises(SystemExit, match=r"lines\.jsonl, line 3: this is no line of a benchmark"):
        lines.read([file])


def test_every_benchmark_says_what_it_compares() -> None:
    known = report.known_benchmarks()
    assert {"matching", "gctx_read", "de_vs_limma", "serve", "l1000_full"} <= set(known)
    assert not {"lines", "report", "common_full", "made_up_effects"} & set(known)
    assert all(known.values())


def test_the_pages_are_those_of_the_lines(root: Path) -> None:
    """No figure is typed by hand: run `make bench-report` where this fails."""
    found = lines.read(sorted(lines.RESULTS.glob("*.jsonl")))
    assert (root / "docs/performance.md").read_text() == report.page(found, report.known_benchmarks())
    further = (root / "docs/beyond_one_machine.md").read_text()
    assert report.with_figures(further, found) == further
