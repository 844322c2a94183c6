"""Times of questions on a database or a snapshot that is there: those of docs/cookbook.md, and those with a budget.

    python benchmarks/queries.py /var/lib/pbdb --clients 1 8 --cold   # the embedded database of a home
    python benchmarks/queries.py postgresql://reader@host/pbdb        # another server
    python benchmarks/queries.py pbdb-2026.1 --times 20               # a snapshot

Budgets are those of 411,514 effects on two quiet cores; one for a number of rows grows with them where there are more.
Where the names of the demo are not in the data, others are taken from them: the data set with most effects, a compound
with two contexts at one dose, a mechanism of some compounds (or ten compounds where none is known). Each question is
asked once before it is timed, on a connection that is open, and all its rows are fetched. With --cold the embedded
server is started anew before each question, which is asked once (files may still be in the memory of the machine). The
last line is JSON: p50 and p95 in milliseconds by the number of clients, and rows, of each.
"""

from __future__ import annotations

import argparse
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lines
import numpy as np

import pbdb
from pbdb.common.settings import Settings
from pbdb.server import connect

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cookbook.md"
COOKBOOK = dict(re.findall(r"```sql\n-- name: (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S))
Ask = Callable[[str], int]


class Question(NamedTuple):
    """What is asked, and in how many milliseconds so many rows should be there; None: nobody said."""

    name: str
    query: str
    budget_ms: float | None = None
    budget_rows: int | None = None

    def budget(self, rows: int) -> float | None:
        """Milliseconds for so many rows."""
        if self.budget_ms is None or self.budget_rows is None:
            return self.budget_ms
        return round(self.budget_ms * max(1, rows / self.budget_rows))


def settings_of(place: str) -> Settings | None:
    """Where the database is; None for a snapshot.

    Raises:
        SystemExit: a folder that is neither a home nor a snapshot.
    """
    if "://" in place:
        return Settings(home=Path(), database_url=place, read_as_superuser=True)
    folder = Path(place)
    return None if (folder / "pbdb.duckdb").is_file() else Settings(home=home(folder))


def home(folder: Path) -> Path:
    """The folder, if it is a home with a database.

    Raises:
        SystemExit: it is none; asked, pbdb would make an empty one there.
    """
    if not (folder / "server").is_dir():
        raise SystemExit(f"'{folder}' is neither a home with a database nor a snapshot: give the folder of one.")
    return folder


def opened(place: str) -> Any:
    """The database at an address or in a home, or the snapshot in a folder."""
    return pbdb.connect(settings_of(place) or Path(place))


@contextmanager
def asking(place: str) -> Iterator[Ask]:
    """A client: asks a query and counts its rows, on a connection of its own where there are connections."""
    settings = settings_of(place)
    if settings is None:
        with opened(place) as db:
            yield lambda query: len(db.sql(query))
    else:
        with connect.connect_as_reader(settings) as connection:
            yield lambda query: len(connection.execute(query.encode()).fetchall())


def first(db: Any, query: str) -> list[Any]:
    """The first row of a query; empty where there is none."""
    frame = db.sql(query)
    return [] if frame.empty else list(frame.iloc[0])


def names(db: Any) -> dict[str, str]:
    """Texts of the questions, and what stands for them in these data."""
    if first(db, "SELECT 1 FROM dataset WHERE dataset = 'screen_one'"):
        return {}
    dataset = first(db, "SELECT dataset FROM fit WHERE is_default GROUP BY 1 ORDER BY sum(n_effects) DESC LIMIT 1")[0]
    other = first(
        db,
        f"""SELECT CASE WHEN dataset_a = '{dataset}' THEN dataset_b ELSE dataset_a END AS other FROM matched_condition
        WHERE '{dataset}' IN (dataset_a, dataset_b) GROUP BY 1 ORDER BY count(*) DESC LIMIT 1""",
    )
    compound, one, two, dose = first(
        db,
        f"""SELECT compound_name, min(context_name), max(context_name), dose_um FROM (
            SELECT compound_name, context_name, dose_um FROM effect WHERE dataset = '{dataset}' AND dose_um > 0
            GROUP BY 1, 2, 3 HAVING count(*) = 1 AND min(status) = 'ok'
        ) once GROUP BY compound_name, dose_um ORDER BY count(*) DESC, compound_name, dose_um LIMIT 1""",
    )
    genes = db.sql(
        f"""SELECT DISTINCT coalesce(gene_symbol, gene_id) AS gene FROM condition_effect WHERE effect_id = (
        SELECT min(effect_id) FROM effect WHERE dataset = '{dataset}' AND compound_name = '{compound}'
        AND status = 'ok') ORDER BY 1 LIMIT 2"""
    )["gene"]
    chosen = {"bortezomib": compound, "vorinostat": compound, "A549": two, "U-2 OS": one, "HMOX1": genes[0]}
    chosen |= {"HSPA1B": genes[1], "screen_one": dataset, "screen_two": other[0] if other else dataset}
    quoted = {f"'{theirs}'": f"'{ours}'" for theirs, ours in chosen.items()}
    pair = f"dataset_a = '{min(dataset, chosen['screen_two'])}' AND dataset_b = '{max(dataset, chosen['screen_two'])}'"
    whole = {"dataset_a = 'screen_one' AND dataset_b = 'screen_two'": pair}
    if not first(db, f"SELECT 1 FROM gene WHERE gene_symbol = '{genes[0]}'"):
        whole["gene_symbol = 'HMOX1'"] = f"gene_id = '{genes[0]}'"
    return whole | quoted | {"dose_um = 10": f"dose_um = {dose:.15g}"} | mechanism(db, dataset)


def mechanism(db: Any, dataset: str) -> dict[str, str]:
    """A mechanism of a few compounds; ten compounds where the data know of none."""
    treated = f"SELECT DISTINCT compound_name FROM effect WHERE dataset = '{dataset}'"
    known = f"SELECT mechanism FROM mechanism JOIN ({treated}) e USING (compound_name) GROUP BY 1"
    found = first(db, f"{known} ORDER BY abs(count(*) - 10), 1 LIMIT 1")
    if found:
        return {"'hdac'": "'" + found[0].replace("'", "''") + "'"}
    ten = f"SELECT DISTINCT compound_name, 'hdac' AS mechanism FROM condition WHERE dataset = '{dataset}' LIMIT 10"
    return {"JOIN mechanism m": f"JOIN ({ten}) m"}


def with_budgets(db: Any) -> list[Question]:
    """Questions with budgets: an effect, a compound, a gene, a match, and the first rows of every long view."""
    asked = [
        Question("compendium", "SELECT * FROM compendium"),
        Question("coverage", "SELECT * FROM coverage", 100),
        Question("statuses", "SELECT status, count(*) AS n FROM effect GROUP BY status"),
    ]
    largest = first(db, "SELECT dataset FROM fit WHERE is_default GROUP BY 1 ORDER BY sum(n_effects) DESC LIMIT 1")[0]
    widest = first(db, "SELECT dataset FROM fit WHERE is_default GROUP BY 1 ORDER BY max(n_genes) DESC LIMIT 1")[0]
    kinds = (("largest", largest, (10, 978), (100, 37_000)), ("widest", widest, (50, 15_000), (200, None)))
    for what, dataset, of_effect, of_compound in kinds:
        effect, compound, context = first(
            db,
            f"""SELECT min(effect_id), compound_name, context FROM effect WHERE dataset = '{dataset}' AND status = 'ok'
            AND is_default GROUP BY compound_name, context ORDER BY count(*) DESC, 2, 3 LIMIT 1""",
        )
        where = "compound_name = '{}' AND context = '{}'".format(compound.replace("'", "''"), context)
        asked += [
            Question(f"an effect of the {what} data set", f"{BY_GENE} WHERE effect_id = {effect}", *of_effect),
            Question(f"a compound in a context of the {what}", f"{BY_GENE} WHERE {where}", *of_compound),
        ]
    tested = f"FROM fit_gene WHERE dataset = '{largest}' AND is_default AND tested"
    gene, context = first(db, f"SELECT min(gene_id), context {tested} GROUP BY context ORDER BY 2 LIMIT 1")
    asked += [
        Question("a gene everywhere", f"{BY_CONDITION} WHERE gene_id = '{gene}'", 600),
        Question("its 50 strongest", f"{BY_CONDITION} WHERE gene_id = '{gene}' ORDER BY log2_fc DESC LIMIT 50", 300),
        Question("the same, ranked first", f"SELECT * FROM strongest_conditions('{gene}', 50, 'up')", 300),
        Question("it in one context", f"{BY_CONDITION} WHERE gene_id = '{gene}' AND context = '{context}'", 50),
    ]
    if match := first(db, "SELECT match_id FROM matched_condition ORDER BY 1 LIMIT 1"):
        values = "log2_fc_a, p_adj_a, log2_fc_b, p_adj_b"
        asked += [
            Question(
                "a match", f"SELECT gene_symbol, {values} FROM matched_effect WHERE match_id = {match[0]}", 50, 15_000
            ),
            Question("it in all matches", f"SELECT match_id, {values} FROM matched_gene WHERE gene_id = '{gene}'", 500),
        ]
    return asked + [Question(f"100 rows of {view}", f"SELECT * FROM {view} LIMIT 100", 100) for view in LONG]


BY_GENE = "SELECT gene_symbol, dose_um, log2_fc, p_adj FROM condition_effect"
BY_CONDITION = "SELECT inchikey, context, dose_um, log2_fc, p_adj FROM gene_response"
LONG = ("effect", "sample", "condition_effect", "gene_response", "matched_effect", "matched_gene")


def main() -> None:
    """Ask, time, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", metavar="PLACE", help="home, address of a server, or folder of a snapshot")
    parser.add_argument("--times", type=int, default=10, help="each question, by each client")
    parser.add_argument("--clients", type=int, nargs="+", default=[1], help="at once")
    parser.add_argument("--cold", action="store_true", help="also after the embedded server was started anew")
    chosen = parser.parse_args()
    if min(chosen.times, *chosen.clients) < 1 or 1 not in chosen.clients:
        parser.error("--times and --clients begin at 1, and one client is always asked")
    with opened(chosen.place) as db:
        if not first(db, "SELECT 1 FROM effect WHERE status = 'ok'"):
            raise SystemExit(f"'{chosen.place}' holds no effects to ask about: load a data set first.")
        sizes = {name: int(first(db, f"SELECT {name} FROM compendium")[0]) for name in ("n_conditions", "n_effects")}
        replaced = names(db)
        asked = [Question(name, _replaced(query, replaced)) for name, query in COOKBOOK.items()] + with_budgets(db)
    found = [of_question(chosen, question) for question in asked]
    budgets = [row for row in found if row["budget_ms"] is not None]
    slowest = max(budgets, key=lambda row: row["p50_ms"] / row["budget_ms"])
    lines.report(
        {
            "name": "queries",
            "ours": slowest["p50_ms"],
            "peer": slowest["budget_ms"],
            "peer_name": f"the budget of '{slowest['question']}', the nearest to its own, in ms",
            "ratio": slowest["budget_ms"] / slowest["p50_ms"],
            "sizes": {"times": chosen.times, **sizes},
            "questions": found,
        }
    )


def _replaced(query: str, names_here: dict[str, str]) -> str:
    for theirs, ours in names_here.items():
        query = query.replace(theirs, ours)
    return query


def of_question(chosen: argparse.Namespace, question: Question) -> dict[str, Any]:
    """Times of a question: cold, and by the number of clients."""
    row: dict[str, Any] = {"question": question.name, "budget_ms": None}
    if chosen.cold:
        row["cold_ms"] = cold(chosen.place, question.query)
    for clients in chosen.clients:
        row["rows"], took = timed(chosen.place, question.query, chosen.times, clients)
        p50, p95 = (round(float(value), 1) for value in np.percentile(took, [50, 95]))
        row |= {"p50_ms": p50, "p95_ms": p95} if clients == 1 else {f"p50_ms_{clients}": p50, f"p95_ms_{clients}": p95}
    row["budget_ms"] = question.budget(row["rows"])
    is_over = row["budget_ms"] is not None and row["p50_ms"] > row["budget_ms"]
    print(f"{question.name:42}", *(f"{name} {row[name]}" for name in list(row)[1:]), "OVER" * is_over, flush=True)
    return row


def cold(place: str, query: str) -> float:
    """Milliseconds of a query that is the first after the server of a home was started."""
    settings = settings_of(place)
    if settings is None or "://" in place:
        raise SystemExit("--cold is for a home: the server of an address is not ours to start.")
    connect.stop(settings)
    with asking(place) as ask:
        start = time.perf_counter()
        ask(query)
        return round(1000 * (time.perf_counter() - start), 1)


def timed(place: str, query: str, times: int, clients: int) -> tuple[int, list[float]]:
    """Rows of a query, and its milliseconds, asked so many times by each of so many clients at once."""
    together = threading.Barrier(clients)

    def of_client(_: int) -> tuple[int, list[float]]:
        with asking(place) as ask:
            rows, took = ask(query), []
            together.wait()
            for _ in range(times):
                start = time.perf_counter()
                ask(query)
                took.append(1000 * (time.perf_counter() - start))
        return rows, took

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(of_client, range(clients)))
    return found[0][0], [ms for _, took in found for ms in took]


if __name__ == "__main__":
    main()
