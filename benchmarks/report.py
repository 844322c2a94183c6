"""Write docs/performance.md and its pictures, and the figures of docs/beyond_one_machine.md, from lines of benchmarks.

    make bench-report                                    # or: python benchmarks/report.py
    python benchmarks/report.py --lines run.jsonl --docs trial

Lines are those of `lines.report` and of benchmarks/compendium.py, all files benchmarks/results/*.jsonl unless named.
Of a benchmark that was run more than once on one machine the last line counts. What a line does not tell, or a kind
that this page does not know, is a sentence on the page; no figure of it is typed by hand.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import beyond
import compendium_lines
import lines
import report_charts
from compendium_lines import STAGES, Run

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
START, END = "<!-- figures: written by make bench-report -->", "<!-- end of figures -->"
HOUR = 3600
MARKS, NO_BENCHMARKS = ("lines.report(", "common_full.main("), ("lines", "report", "common_full")
Line = dict[str, Any]


def main() -> None:
    """Read lines, write pages and pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=Path, nargs="+", help="files of lines; benchmarks/results/*.jsonl unless given")
    parser.add_argument("--docs", type=Path, default=DOCS)
    given = parser.parse_args()
    found = lines.read(given.lines or sorted(lines.RESULTS.glob("*.jsonl")))
    given.docs.mkdir(parents=True, exist_ok=True)
    (given.docs / "performance.md").write_text(page(found, known_benchmarks()), encoding="utf-8")
    draw(found, given.docs / "performance")
    further = given.docs / "beyond_one_machine.md"
    if further.is_file():
        further.write_text(with_figures(further.read_text(encoding="utf-8"), found), encoding="utf-8")


def known_benchmarks(folder: Path = HERE) -> dict[str, str]:
    """Every benchmark that ends with a line, and the first sentence of what it says of itself."""
    known = {}
    for file in sorted(folder.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        if any(mark in text for mark in MARKS) and file.stem not in NO_BENCHMARKS:
            told = ast.get_docstring(ast.parse(text)) or ""
            known[file.stem] = told.split("\n")[0].strip()
    return known


def page(found: Sequence[Line], known: dict[str, str]) -> str:
    """docs/performance.md."""
    runs = compendium_lines.runs(found)
    parts = [
        "# How fast it is\n",
        _origin(found),
        "## The whole compendium\n",
        *_compendium(runs, found),
        *_questions(latest(found)),
        *_learning(found),
        "## Each part against a peer\n",
        *_parts(latest(found), known),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def _origin(found: Sequence[Line]) -> str:
    sentence = (
        "Written by `make bench-report` from the lines that the benchmarks left in `benchmarks/results/`; nothing here "
        "is typed by hand. A ratio says how many times better ours is than its peer in one run on one machine; what is "
        "compared, and the sizes, stand below the table. The load is that of the machine (one minute) as the benchmark "
        "ended, its own work included: where it is above the number of cores, others were at work and the seconds say "
        "too much."
    )
    dates = sorted(str(line["date"])[:10] for line in found if line.get("date"))
    if not dates:
        return sentence + "\n\nThere is no line yet: run `make bench`."
    return f"{sentence}\n\n{len(found)} lines, measured from {dates[0]} to {dates[-1]}."


def _compendium(runs: Sequence[Run], found: Sequence[Line]) -> Iterable[str]:
    if not runs:
        yield "The compendium has not been measured yet: `python benchmarks/compendium.py --folder FOLDER` does it.\n"
        return
    run = compendium_lines.completed(runs)
    about, n_datasets = run.about, len(set(run.datasets) - {compendium_lines.ALL})
    yield (
        f"{report_charts.share_text(run.share).capitalize()}, {n_datasets} data sets, on "
        f"{about.get('machine', 'a machine that the lines do not name')} ({about.get('date', 'no date')}, load "
        f"{about.get('load_average', 'unknown')}): from files to matches {duration(run.load_seconds)}, every stage "
        f"{duration(run.total_seconds)}, {run.total_mb / 1000:.1f} GB on disk.\n"
    )
    yield from _rows(found)
    yield picture("seconds", "Minutes by data set and stage")
    yield _stage_table(run)
    if run.left_out:
        yield f"Left out: {_left_out(run)}.\n"
    if smaller := elsewhere(runs):
        yield (
            "Measured at a smaller share only, and above in proportion to it (seconds and disk): "
            f"{'; '.join(smaller)}. Without these, from files to matches {duration(runs[-1].load_seconds)}.\n"
        )
    yield from _growth(runs)


def _left_out(run: Run) -> str:
    return "; ".join(f"{dataset}, {stage}: {why}" for (dataset, stage), why in run.left_out.items())


def elsewhere(runs: Sequence[Run]) -> list[str]:
    """What the largest share left out and a smaller one measured, in proportion."""
    whole_share = runs[-1].share
    return [
        f"{dataset}, {stage.replace('_', ' ')}: {duration(found * whole_share / share)}"
        for (dataset, stage), (share, found) in compendium_lines.largest(runs).items()
        if share < whole_share
    ]


def _rows(found: Sequence[Line]) -> Iterable[str]:
    """The row of `compendium` beside the published figures."""
    rows = [line for line in found if line["name"] == "compendium_row" or line.get("stage") == "row"]
    if not rows:
        yield "The lines do not tell the row of `compendium`.\n"
        return
    row = rows[-1]
    ours, theirs = (row.get("compendium") or {}) | (row.get("ours") or {}), row.get("published") or {}
    names = list(dict.fromkeys([*theirs, *(row.get("ours") or {})]))
    yield table(["", "here", "published"], [[name, whole(ours.get(name)), whole(theirs.get(name))] for name in names])
    differences = [str(one) for one in row.get("differences") or []]
    if differences:
        yield "\n".join(f"* {one}" for one in differences) + "\n"


def _stage_table(run: Run) -> str:
    shown = [stage for stage in STAGES if run.of_stage(stage)]
    rows = [
        [dataset, *(seconds(run.seconds.get((dataset, stage))) for stage in shown), seconds(run.of_dataset(dataset))]
        for dataset in run.datasets
    ]
    rows.append(["**seconds**", *(seconds(run.of_stage(stage)) for stage in shown), seconds(run.total_seconds)])
    rows.append(["**peak MB**", *(whole(run.peak_of(stage)) for stage in shown), ""])
    return table(["data set", *(stage.replace("_", " ") for stage in shown), "all"], rows)


def _growth(runs: Sequence[Run]) -> Iterable[str]:
    if len(runs) < 2:
        yield f"Growth is not known: only {report_charts.share_text(runs[0].share)} was measured.\n"
        return
    yield picture("growth", "Minutes and memory by share of the compendium")
    runs = compendium_lines.alike(runs)
    rows = [
        [f"{run.share:.3g}", seconds(run.load_seconds), seconds(run.total_seconds), whole(max(run.peak_mb.values()))]
        for run in runs
    ]
    yield table(["share", "seconds to matches", "seconds, all stages", "largest peak, MB"], rows)


def _questions(found: Sequence[Line]) -> Iterable[str]:
    """What each question took in milliseconds, beside its budget."""
    for line in (line for line in found if line.get("questions")):
        shown = [name for name in line["questions"][0] if name not in ("question", "budget_ms", "rows")]
        names = ["budget_ms", *shown]
        rows = [
            [one["question"], whole(one["rows"]), *(seconds(one[name]) for name in names)] for one in line["questions"]
        ]
        yield "## Questions on it\n"
        sizes = {name.removeprefix("n_"): size for name, size in line.get("sizes", {}).items() if name.startswith("n_")}
        asked = f"Milliseconds{f' ({value(sizes)})' if sizes else ''}, {when(line)}"
        remark = f" {line['remark']}" if line.get("remark") else ""
        yield f"{asked}; `benchmarks/{line['name']}.py` says how they were asked.{remark}\n"
        yield table(["question", "rows", *(name.replace("_", " ") for name in names)], rows)


def _learning(found: Sequence[Line]) -> Iterable[str]:
    """How a step of the low-rank model grows."""
    if line := growing(found):
        yield "## Learning on it\n"
        yield f"Seconds of an iteration of `pbdb embed train`, {when(line)}: {value(line['sizes'])}.\n"
        yield picture("learning", "Seconds of an iteration by values, compounds and rank")


def latest(found: Sequence[Line]) -> list[Line]:
    """The last line of each benchmark, size and machine, the compendium's own excepted, in order of names."""
    kept = {
        (line["name"], str(line.get("machine"))): line
        for line in found
        if line["name"] not in ("compendium", "compendium_row")
    }
    return [kept[key] for key in sorted(kept)]


def script_of(name: str, known: Iterable[str]) -> str | None:
    """The benchmark that left a line: of its name, or the beginning of it."""
    fitting = [script for script in known if name == script or name.startswith(f"{script}_")]
    return max(fitting, key=len, default=None)


def growing(found: Sequence[Line]) -> Line | None:
    """The line that tells how a step of the low-rank model grows."""
    return next((line for line in latest(found) if line.get("growth")), None)


def has_ratio(line: Line) -> bool:
    """Whether a line compares with a peer."""
    return isinstance(line.get("ratio"), int | float) and line["ratio"] > 0


def _parts(found: Sequence[Line], known: dict[str, str]) -> Iterable[str]:
    of_known = [line for line in found if script_of(line["name"], known)]
    compared = [line for line in of_known if has_ratio(line)]
    alone = [line for line in of_known if line not in compared]
    if compared:
        yield picture("ratios", "Every benchmark against its peer")
        yield table(HEADINGS, [_line(line) for line in compared])
        yield "\n".join(
            f"* `{line['name']}`: {known[str(script_of(line['name'], known))]} Ours {value(line.get('ours'))}; "
            f"{line.get('peer_name')}: {value(line.get('peer'))}. Sizes: {value(line.get('sizes'))}."
            for line in compared
        )
    if alone:
        yield "Without a peer:\n"
        yield "\n".join(
            f"* `{line['name']}` ({when(line)}): {known[str(script_of(line['name'], known))]} "
            f"{value(line.get('ours'))}. Sizes: {value(line.get('sizes'))}."
            for line in alone
        )
    measured = {script_of(line["name"], known) for line in found}
    if missing := sorted(set(known) - measured):
        yield "Not measured yet: " + ", ".join(f"`{name}`" for name in missing) + ".\n"
    if strange := sorted({line["name"] for line in found} - {line["name"] for line in of_known}):
        yield "Lines of kinds that this page does not know: " + ", ".join(f"`{name}`" for name in strange) + ".\n"


HEADINGS = ["benchmark", "ratio", "peak MB", "date", "load", "machine"]


def _line(line: Line) -> list[str]:
    date, load = str(line.get("date", "unknown"))[:10], line.get("load_average", "unknown")
    peak, machine = whole(line.get("peak_rss_mb")), str(line.get("machine", "unknown"))
    return [f"`{line['name']}`", report_charts.ratio_text(line["ratio"]), peak, date, str(load), machine]


def when(line: Line) -> str:
    """Date, load and machine of a line."""
    date, load = str(line.get("date", "no date"))[:10], line.get("load_average", "unknown")
    return f"{date}, load {load}, {line.get('machine', 'unknown machine')}"


def with_figures(text: str, found: Sequence[Line]) -> str:
    """The page on large compendia with its figures between the marks.

    Raises:
        SystemExit: the page has no marks.
    """
    if START not in text or END not in text:
        raise SystemExit(f"docs/beyond_one_machine.md lacks the marks {START} and {END}.")
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    return f"{before}{START}\n\n{figures(compendium_lines.runs(found))}\n{END}{after}"


def figures(runs: Sequence[Run]) -> str:
    """Hours and disk at multiples of the compendium."""
    if not runs:
        return "The compendium has not been measured yet; the formula above has no figures to work on.\n"
    cores = beyond.cores_of(str(runs[-1].about.get("machine", "")))
    known = [beyond.beyond(runs, cores, factor) for factor in beyond.FACTORS]
    rows = [
        [stage.replace("_", " "), *(f"{one.hours[stage]:,.2f}" for one in known)]
        for stage in STAGES
        if known[0].hours[stage]
    ]
    rows += [
        ["**hours, one machine**", *(f"{one.hours_alone:,.1f}" for one in known)],
        [f"**hours, {beyond.WORKERS} threads fit**", *(f"{one.hours_cluster:,.1f}" for one in known)],
        ["**disk, GB**", *(f"{one.disk_gb:,.0f}" for one in known)],
    ]
    head = table(["hours", *(f"{factor} x the compendium" for factor in beyond.FACTORS)], rows)
    slopes = {stage: b for stage, b in beyond.slopes_of(runs).items() if b != 1}
    told = ", ".join(f"{stage} {b:.2f}" for stage, b in slopes.items())
    peaks = [(run_peak, stage) for stage in STAGES if (run_peak := runs[-1].peak_of(stage)) is not None]
    return head + (
        f"\nMeasured: {report_charts.share_text(runs[-1].share)} on {runs[-1].about.get('machine')}, load "
        f"{runs[-1].about.get('load_average')}. "
        + (f"Over {len(runs)} shares b is {told}, else 1." if slopes else "Every b is 1.")
        + (f" Largest peak: {max(peaks)[0] / 1024:.1f} GiB ({max(peaks)[1]})." if peaks else "")
        + (f" Left out: {_left_out(runs[-1])}." if runs[-1].left_out else "")
        + (f" Counted from a smaller share: {'; '.join(smaller)}." if (smaller := elsewhere(runs)) else "")
        + "\n"
    )


def draw(found: Sequence[Line], folder: Path) -> None:
    """Draw what the page shows."""
    runs = compendium_lines.runs(found)
    if runs:
        report_charts.draw(folder, "seconds", report_charts.seconds_by_stage(compendium_lines.completed(runs)))
    if len(runs) > 1:
        report_charts.draw(folder, "growth", report_charts.growth(compendium_lines.alike(runs)))
    if line := growing(found):
        report_charts.draw(folder, "learning", report_charts.doublings(line["growth"]))
    known = known_benchmarks()
    compared = [line for line in latest(found) if script_of(line["name"], known) and has_ratio(line)]
    if compared:
        report_charts.draw(folder, "ratios", report_charts.ratios(compared))


def picture(name: str, words: str) -> str:
    """A picture that follows the reader's theme."""
    return (
        f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="performance/{name}_dark.svg">\n'
        f'  <img alt="{words}" src="performance/{name}_light.svg">\n</picture>\n'
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    marks = ["---", *("---:" for _ in headings[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headings, marks, *rows]) + "\n"


def value(found: Any) -> str:
    """A figure, or several under their names, in words."""
    if isinstance(found, dict):
        return ", ".join(f"{name} {value(one)}" for name, one in found.items()) or "none"
    if isinstance(found, list):
        return ", ".join(map(value, found)) or "none"
    if isinstance(found, bool) or found is None:
        return "unknown" if found is None else str(found).lower()
    if isinstance(found, float):
        return f"{found:.4g}"
    return f"{found:,}" if isinstance(found, int) else str(found)


def whole(found: Any) -> str:
    """A number without fractions."""
    return "unknown" if found is None else f"{float(found):,.0f}" if isinstance(found, int | float) else str(found)


def seconds(found: float | None) -> str:
    """Seconds of a stage, or milliseconds of a question."""
    return "" if found is None else f"{found:,.0f}" if found >= 10 else f"{found:.1f}"


def duration(found: float) -> str:
    """Seconds in words."""
    if found < 100:
        return f"{found:.0f} seconds"
    return f"{found / HOUR:.1f} hours" if found >= 1.5 * HOUR else f"{found / 60:.0f} minutes"


if __name__ == "__main__":
    main()
