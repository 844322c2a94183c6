"""How quickly `pbdb serve` answers: pages and API of a database or snapshot that is there, with 1 and 8 clients.

    PBDB_HOME=... python benchmarks/serve.py [FOLDER] --asked 40
    PBDB_HOME=... python benchmarks/serve.py --gene ENSG00000100292 --compound vorinostat --json
    python benchmarks/serve.py --url http://127.0.0.1:8000      # a server that runs; no memory, no cold start

Each address is asked a bounded number of times, over loopback, some before it is timed, by one client and then by
eight; what differs from one request to the next (`fresh`) keeps the server from answering out of its memory. Prints p50
and p95 in ms, OVER where that is beyond the budget, requests refused as too many (503), bytes, memory (RSS) and the
time from the start of the process to its first answer. Budgets are those for 411,514 conditions on two quiet cores; the
load of the machine is printed beside. The compound is the first that has an effect, unless one is named.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import lines

CLIENTS = (1, 8)
MOST_ASKED, UNTIMED = 500, 2
# Name, address, and the budgets of p50 with one client and p95 with eight, in ms.
ADDRESSES = (
    ("suggest", "/api/v1/suggest?q=vor", 10, 40),
    ("home", "/", 10, 40),
    ("compound", "/compound/{inchikey}?fresh={n}", 80, 300),
    ("gene, first", "/gene/{gene}?fresh={n}", 400, 1000),
    ("gene, kept", "/gene/{gene}", 10, 1000),
    ("match", "/match/{match}?fresh={n}", 100, 400),
    ("data set", "/dataset/{dataset}?fresh={n}", 400, 1000),
    ("signature", "/signature?effect={effect}&fresh={n}", 100, 400),
    ("rows, 1,000 as JSON", "/api/v1/effect.json?_size=1000&is_default=true&n_up__gte=-{n}", 30, 150),
    ("an effect as Arrow", "/api/v1/condition_effect.arrow?effect_id={effect}", 100, 500),
)
FIRST_BYTE = ("all effects as CSV, first byte", "/api/v1/effect.csv?n_treated__gte=-{n}", 300, 1000)
BUDGETS = {"cold_start_s": 3, "rss_mb_after": 250}


def main() -> None:
    """Start a server, ask it, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="a snapshot; else the database of PBDB_HOME")
    parser.add_argument(
        "--asked", type=int, default=20, help=f"requests for each address and client, up to {MOST_ASKED}"
    )
    parser.add_argument("--gene", default="ENSG00000100292")
    parser.add_argument("--compound", help="name; else the first that has an effect")
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    asked = min(given.asked, MOST_ASKED)
    with server(given.folder) if not given.url else running(given.url) as (base, pid, cold_s):
        names = places(base, given.gene, given.compound)
        with urllib.request.urlopen(f"{base}/api/v1/compendium.json", timeout=60) as answer:
            conditions = json.load(answer)["rows"][0]["n_conditions"]
        rss = [memory_mb(pid)]
        addresses = [row for row in ADDRESSES if names["match"] or row[0] != "match"]
        rows = [measured(base, row, names, asked, clients) for clients in CLIENTS for row in addresses]
        rows += [measured(base, FIRST_BYTE, names, min(asked, 5), 1)]
        rss.append(memory_mb(pid))
    facts: dict[str, Any] = {
        "cold_start_s": cold_s,
        "rss_mb_idle": rss[0],
        "rss_mb_after": rss[1],
        "load": os.getloadavg()[0],
    }
    facts |= {"rows": rows, "conditions": conditions}
    print(json.dumps(facts, indent=1) if given.json else text(facts))
    lines.report(line(facts))


def line(facts: dict[str, Any]) -> dict[str, Any]:
    """The figures as they are collected: sums over the addresses, asked by one client."""
    alone = [row for row in facts["rows"] if row["clients"] == 1]
    ours, peer = (sum(row[name] for row in alone) for name in ("p50_ms", "p50_budget_ms"))
    return {
        "name": "serve",
        "ours": ours,
        "peer": peer,
        "peer_name": "the budgets of p50 with one client, in ms",
        "ratio": peer / ours,
        "peak_rss_mb": facts["rss_mb_after"],
        "sizes": {"addresses": len(alone), "conditions": facts["conditions"]},
        "facts": facts,
    }


@contextmanager
def running(url: str) -> Iterator[tuple[str, int | None, float | None]]:
    """A server that somebody else started."""
    yield url.rstrip("/"), None, None


@contextmanager
def server(folder: str | None) -> Iterator[tuple[str, int | None, float | None]]:
    """A server of its own process: address, process id, seconds to its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    command = [sys.executable, "-m", "pbdb.cli", "serve", *([folder] if folder else []), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        while not answers(f"{base}/healthz"):
            if process.poll() is not None or time.perf_counter() - start > 120:
                raise SystemExit("The server does not start: run `pbdb serve` to see why.")
            time.sleep(0.05)
        yield base, process.pid, round(time.perf_counter() - start, 2)
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    """Whether somebody answers."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def places(base: str, gene: str, compound: str | None) -> dict[str, Any]:
    """What the addresses name."""

    def first(address: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{base}/api/v1/{address}", timeout=60) as answer:
            return next(iter(json.load(answer)["rows"]), {})

    named = f"&compound_name={urllib.parse.quote(compound)}" if compound else ""
    match = first(f"matched_condition.json?_size=1{named}")
    which = named or (f"&condition_id={match['condition_id_a']}" if match else "")
    effect = first(f"effect.json?is_default=true&status=ok&inchikey__isnull=false&_size=1{which}")
    return {
        "gene": gene,
        "inchikey": effect["inchikey"],
        "effect": effect["effect_id"],
        "dataset": effect["dataset"],
        "match": match.get("match_id", 0),
    }


def measured(
    base: str, row: tuple[str, str, int, int], names: dict[str, Any], asked: int, clients: int
) -> dict[str, Any]:
    """Times of an address, asked so many times by each of so many clients at once."""
    name, address, p50_budget, p95_budget = row

    def ask(n: int) -> tuple[float, int]:
        start = time.perf_counter()
        request = urllib.request.Request(base + address.format(**names, n=n), headers={"Accept-Encoding": "gzip"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                size = len(answer.read(1))
                first_ms = (time.perf_counter() - start) * 1000
                while part := answer.read(1 << 20):
                    size += len(part)
        except urllib.error.HTTPError as refusal:
            if refusal.code != 503:
                raise
            size = 0
        if row is FIRST_BYTE and size:
            return first_ms, size
        return (time.perf_counter() - start) * 1000, size

    with ThreadPoolExecutor(clients) as pool:
        # Each of the server's connections plans what it has not been asked before.
        list(pool.map(ask, range(MOST_ASKED * 10, MOST_ASKED * 10 + UNTIMED * clients)))
        found = list(pool.map(ask, range(clients * 10_000, clients * 10_000 + asked * clients)))
    took = sorted(ms for ms, _ in found)
    refused = sum(size == 0 for _, size in found)
    p95 = took[min(len(took) - 1, int(0.95 * len(took)))]
    budget = {"p50_budget_ms": p50_budget} if clients == 1 else {"p95_budget_ms": p95_budget}
    times = {"p50_ms": round(statistics.median(took), 1), "p95_ms": round(p95, 1)}
    return {
        "what": name,
        "clients": clients,
        **times,
        **budget,
        "refused": refused,
        "bytes": max(size for _, size in found),
    }


def memory_mb(pid: int | None) -> int | None:
    """Resident memory of a process; None where the system does not say."""
    if pid is None:
        return None
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    except OSError:
        return None


def text(facts: dict[str, Any]) -> str:
    """The report as lines."""
    over = [name for name, most in BUDGETS.items() if facts[name] is not None and facts[name] > most]
    head = f"cold start {facts['cold_start_s']} s; memory {facts['rss_mb_idle']} MB, then {facts['rss_mb_after']} MB"
    lines = [f"{head}; load {facts['load']:.1f}" + (f"  OVER: {', '.join(over)}" if over else "")]
    for row in facts["rows"]:
        is_over = row["p50_ms"] > row.get("p50_budget_ms", 1e9) or row["p95_ms"] > row.get("p95_budget_ms", 1e9)
        lines.append(
            f"{row['what']:<30}{row['clients']:>2} clients  p50 {row['p50_ms']:>8} ms  p95 {row['p95_ms']:>8} ms"
            f"  {row['bytes']:>10,} bytes"
            + ("  OVER" if is_over else "")
            + (f"  {row['refused']} refused" if row["refused"] else "")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
