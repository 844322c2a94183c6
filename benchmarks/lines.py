"""The line that ends every benchmark: printed, and kept where PBDB_BENCH_LINES names a file.

    lines.report({"name": "matching", "ours": 3.1, "peer": 6.4, "peer_name": "pandas", "ratio": 2.06, "sizes": {...}})

adds the machine, the date, the load average (one minute, as the benchmark ends: its own work is in it) and, unless it
is given, the peak memory of this process. `make bench` keeps the lines in benchmarks/results/lines.jsonl, of which
`make bench-report` writes docs/performance.md. A benchmark run again adds a line; the report shows the last of each.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pbdb.common import memory

KEPT_IN = "PBDB_BENCH_LINES"
RESULTS = Path(__file__).parent / "results"
DIGITS = 4

Line = dict[str, Any]


def report(line: Mapping[str, Any]) -> None:
    """Print a line as JSON, with where and when it was measured; append it to the file that PBDB_BENCH_LINES names."""
    text = json.dumps(_rounded({**line, "peak_rss_mb": line.get("peak_rss_mb", round(memory.peak_mb()))} | here()))
    print(text, flush=True)
    if name := os.environ.get(KEPT_IN):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def here() -> Line:
    """Where and when, for a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, {memory:.0f} GiB, Python {platform.python_version()}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"machine": machine, "date": now, "load_average": round(os.getloadavg()[0], 1)}


def read(files: Iterable[Path]) -> list[Line]:
    """Read lines of files in their order.

    Raises:
        SystemExit: a file is not there, or one of its lines is no JSON object with a name.
    """
    found = []
    for file in files:
        if not file.is_file():
            raise SystemExit(f"There is no file of lines '{file}'.")
        for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if not isinstance(line, dict) or not isinstance(line.get("name"), str):
                raise SystemExit(f"{file}, line {number}: this is no line of a benchmark; mend it, or take it out.")
            found.append(line)
    return found


def _rounded(value: Any) -> Any:
    """The same with floating point numbers of four significant digits, or whole where they are larger."""
    if isinstance(value, float):
        return round(value) if abs(value) >= 10**DIGITS else float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
