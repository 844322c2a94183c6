"""PubChem: what a look-up answers, and a client of its REST service (PUG REST).

The client keeps to the service's rules (Kim et al. 2018, doi:10.1093/nar/gky294): at most 5 requests per second,
300 per minute, slower when the header X-Throttling-Control says so; lists go by POST in batches. Every answer,
a miss too, is kept with its date in one SQLite file.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from pbdb.common.errors import VocabularyError
from pbdb.common.rows import Json

BASE_URL: Final = "https://pubchem.ncbi.nlm.nih.gov/rest/pug"
BATCH: Final = 100
INTERVAL_S: Final = 0.2
MISS_DAYS: Final = 30

_SLOWER = {"Yellow": 2, "Red": 10, "Black": 300}
_RETRIED = frozenset({429, 500, 502, 503, 504})
_Key = TypeVar("_Key", int, str)


@dataclass(frozen=True, slots=True)
class Entry:
    """One compound of PubChem; structure is a SMILES or an InChI."""

    cid: int
    inchikey: str | None = None
    structure: str | None = None
    title: str | None = None


class Lookup(Protocol):
    """What the resolver asks of PubChem, be it the service or a local copy.

    A key that is missing in an answer is not known here; None or an empty tuple means that PubChem has none.
    """

    def entries(self, cids: Collection[int]) -> dict[int, Entry | None]:
        """Return the compounds of CIDs."""

    def cids_of_inchikeys(self, inchikeys: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return all CIDs of each InChIKey, ascending."""

    def cids_of_names(self, names: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return all CIDs of each name (CAS numbers are names, too), in PubChem's order."""


class FirstOf:
    """Asks several look-ups in turn, each for what the ones before it do not know."""

    def __init__(self, *lookups: Lookup):
        self._lookups = lookups

    def entries(self, cids: Collection[int]) -> dict[int, Entry | None]:
        """Return the compounds of CIDs."""
        return _ask_in_turn([lookup.entries for lookup in self._lookups], cids)

    def cids_of_inchikeys(self, inchikeys: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return all CIDs of each InChIKey, ascending."""
        return _ask_in_turn([lookup.cids_of_inchikeys for lookup in self._lookups], inchikeys)

    def cids_of_names(self, names: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return all CIDs of each name, in PubChem's order."""
        return _ask_in_turn([lookup.cids_of_names for lookup in self._lookups], names)


class Client:
    """A client of PUG REST with a cache on disk; offline, the cache alone answers.

    cache: folder of the cache, made if need be. timeout_s: of one request. attempts: per request.
    """

    def __init__(
        self,
        cache: Path,
        *,
        base_url: str = BASE_URL,
        offline: bool = False,
        timeout_s: float = 30,
        attempts: int = 5,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._cache = _Cache(cache)
        self._offline = offline
        self._service = _Service(base_url, timeout_s, attempts, pause, clock)

    def entries(self, cids: Collection[int]) -> dict[int, Entry | None]:
        """Return the compounds of CIDs.

        Raises:
            VocabularyError: PubChem does not answer.
        """
        answers = self._answers("entry", list(map(str, cids)), self._ask_entries)
        return {int(cid): Entry(**value) if value else None for cid, value in answers.items()}

    def cids_of_inchikeys(self, inchikeys: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return all CIDs of each InChIKey, ascending.

        Raises:
            VocabularyError: PubChem does not answer.
        """
        answers = self._answers("inchikey", inchikeys, self._ask_inchikeys)
        return {key: tuple(sorted(value or ())) for key, value in answers.items()}

    def cids_of_names(self, names: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return all CIDs of each name or CAS number, in PubChem's order.

        Raises:
            VocabularyError: PubChem does not answer.
        """
        answers = self._answers("name", names, self._ask_name, batch=1)
        return {name: tuple(value or ()) for name, value in answers.items()}

    def _answers(
        self, kind: str, keys: Collection[str], ask: Callable[[Sequence[str]], Json], batch: int = BATCH
    ) -> Json:
        known = self._cache.read(kind, keys, with_old_misses=self._offline)
        if not self._offline:
            for some in _batches((key for key in dict.fromkeys(keys) if key not in known), batch):
                answer = ask(some)
                fresh = {key: answer.get(key) for key in some}
                self._cache.write(kind, fresh)
                known.update(fresh)
        return known

    def _ask_entries(self, cids: Sequence[str]) -> Json:
        rows = self._properties("cid", cids)
        return {str(row["CID"]): _entry(row) for row in rows if "InChIKey" in row}

    def _ask_inchikeys(self, inchikeys: Sequence[str]) -> Json:
        cids: dict[str, list[int]] = {}
        entries = {}
        for row in self._properties("inchikey", inchikeys):
            cids.setdefault(row["InChIKey"], []).append(row["CID"])
            entries[str(row["CID"])] = _entry(row)
        self._cache.write("entry", entries)
        return cids

    def _ask_name(self, names: Sequence[str]) -> Json:
        answer = self._service.post("compound/name/cids/JSON", {"name": names[0]})
        # An unknown name may also come as the list [0].
        cids = [cid for cid in (answer or {}).get("IdentifierList", {}).get("CID", []) if cid]
        return {names[0]: cids}

    def _properties(self, field: str, keys: Sequence[str]) -> list[Json]:
        """Ask for a list; one unknown key can make the whole list 'not found', which is then halved."""
        answer = self._service.post(f"compound/{field}/property/InChIKey,SMILES,Title/JSON", {field: ",".join(keys)})
        if answer is not None:
            return list(answer.get("PropertyTable", {}).get("Properties", []))
        if len(keys) == 1:
            return []
        middle = len(keys) // 2
        return [row for half in (keys[:middle], keys[middle:]) for row in self._properties(field, half)]


class _Service:
    """Sends requests at the pace the service allows, again after a failure that may pass."""

    def __init__(
        self,
        base_url: str,
        timeout_s: float,
        attempts: int,
        pause: Callable[[float], None],
        clock: Callable[[], float],
    ):
        self._base_url, self._timeout_s, self._attempts = base_url.rstrip("/"), timeout_s, attempts
        self._pause, self._clock = pause, clock
        self._next = 0.0
        self._slower = 1

    def post(self, path: str, form: dict[str, str]) -> Json | None:
        """Return the decoded answer, or None where PubChem says that it has no such thing."""
        url = f"{self._base_url}/{path}"
        why = ""
        for attempt in range(self._attempts):
            if attempt:
                self._pause(2.0 ** (attempt - 1))
            self._keep_pace()
            try:
                return self._send(url, form)
            except urllib.error.HTTPError as error:
                why = _fault(error)
                if error.code == 404 and "PUGREST.NotFound" in why:
                    return None
                if error.code not in _RETRIED:
                    raise VocabularyError(f"PubChem refuses a request to {url} ({why}).") from None
            except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
                why = str(error) or type(error).__name__
        raise VocabularyError(
            f"PubChem does not answer at {url} after {self._attempts} attempts ({why}): try again later, or work"
            " offline; what it has answered so far is in the cache."
        )

    def _send(self, url: str, form: dict[str, str]) -> Json:
        request = urllib.request.Request(
            url, data=urllib.parse.urlencode(form).encode(), headers={"User-Agent": "pbdb"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                self._heed(response.headers)
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            self._heed(error.headers)
            raise

    def _keep_pace(self) -> None:
        wait = self._next - self._clock()
        if wait > 0:
            self._pause(wait)
        self._next = self._clock() + INTERVAL_S * self._slower

    def _heed(self, headers: Any) -> None:
        said = headers.get("X-Throttling-Control") or ""
        self._slower = max([factor for colour, factor in _SLOWER.items() if colour in said], default=1)
        if self._slower > 1:
            self._next = self._clock() + INTERVAL_S * self._slower


class _Cache:
    """Answers in one SQLite file: kind, key, value as JSON (null: PubChem has none), day of the answer."""

    def __init__(self, folder: Path):
        self._path = folder / "pug_rest.sqlite"

    def read(self, kind: str, keys: Collection[str], *, with_old_misses: bool) -> Json:
        oldest = "" if with_old_misses else str(_today() - timedelta(days=MISS_DAYS))
        answers = {}
        with closing(self._open()) as db:
            for some in _batches(dict.fromkeys(keys), 500):
                marks = ",".join("?" * len(some))
                rows = db.execute(
                    f"SELECT key, value FROM answer WHERE kind = ? AND key IN ({marks})"
                    " AND (value <> 'null' OR answered_on >= ?)",
                    (kind, *some, oldest),
                )
                answers.update({key: json.loads(value) for key, value in rows})
        return answers

    def write(self, kind: str, answers: Json) -> None:
        rows = [(kind, key, json.dumps(value or None), str(_today())) for key, value in answers.items()]
        with closing(self._open()) as db, db:
            db.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=60)
        db.execute(
            "CREATE TABLE IF NOT EXISTS answer (kind TEXT, key TEXT, value TEXT NOT NULL,"
            " answered_on TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        return db


def _ask_in_turn(asks: Iterable[Callable[[list[_Key]], dict[_Key, Any]]], keys: Collection[_Key]) -> dict[_Key, Any]:
    known: dict[_Key, Any] = {}
    for ask in asks:
        missing = [key for key in keys if key not in known]
        known.update(ask(missing) if missing else {})
    return known


def _entry(row: Json) -> Json:
    smiles = row.get("SMILES") or row.get("IsomericSMILES")
    return {"cid": row["CID"], "inchikey": row["InChIKey"], "structure": smiles, "title": row.get("Title")}


def _fault(error: urllib.error.HTTPError) -> str:
    try:
        fault = json.load(error)["Fault"]
        return f"{error.code} {fault['Code']}: {fault.get('Message', '')}"
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"HTTP {error.code}"


def _batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(keys)
    while some := list(islice(rest, size)):
        yield some


def _today() -> date:
    return datetime.now(UTC).date()
