"""What a served place keeps: its catalog, its names, answers by address; and how many requests it lets in."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import Depends, Request, Response
from isal import igzip

from pbdb.common import memory
from pbdb.common.errors import QueryError
from pbdb.common.rows import Row
from pbdb.common.version import __version__
from pbdb.serve import catalog, structures
from pbdb.serve import names as naming
from pbdb.serve.assets import Asset
from pbdb.serve.place import PAGE_SECONDS, WAIT_SECONDS, BusyError, Place, Reading, ReplacedError

# As many as there are processors, for more share the time, and the last of them ends late. With files no more than
# POOL_SIZE of place.py has connections for.
AT_ONCE, FILES_AT_ONCE = min(6, max(2, os.cpu_count() or 1)), 2
TRIES = 3
LEAST_SECONDS = 20.0
MOST_KEPT_BYTES, WORTH_PACKING = 4 << 20, 1000
Headers = dict[str, str]


class NotFoundError(QueryError):
    """What an address names is not there."""


class Fact(NamedTuple):
    """What was read of a state of the data; until when it is good enough for the next state, too."""

    state: str
    until: float
    value: Any


@dataclass
class Site:
    """A place with everything around it that requests share."""

    place: Place
    assets: dict[str, Asset]
    root: str = ""
    _kept: OrderedDict[str, tuple[bytes, Headers]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _facts: dict[str, Fact] = field(default_factory=dict)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _requests: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))
    _files: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(FILES_AT_ONCE))

    @cached_property
    def views(self) -> dict[str, catalog.View]:
        """Views and functions by name."""
        return catalog.read(self.place)

    def view(self, name: str) -> catalog.View:
        """A view by name.

        Raises:
            NotFoundError: there is none.
        """
        if name not in self.views:
            raise NotFoundError(f"There is no view '{name[:80]}': known are {', '.join(self.views)}.")
        return self.views[name]

    @property
    def names(self) -> naming.Names:
        """All names of the present state."""
        found: naming.Names = self.per_state("names", naming.read)
        return found

    @property
    def fingerprints(self) -> structures.Fingerprints:
        """All fingerprints of the present state."""
        found: structures.Fingerprints = self.per_state("fingerprints", structures.fingerprints)
        return found

    @property
    def floor(self) -> float:
        """Similarity below which two signatures are no more alike than any two."""
        (row,) = self.per_state("floor", lambda reading: reading.ask("SELECT similarity_floor() AS value"))
        return float(row["value"] or 0.0)

    @property
    def release(self) -> Row:
        """Release, state, version, and the data sets with their terms."""
        datasets = self.per_state("datasets", lambda reading: reading.ask(_DATASETS))
        place = self.place
        return {"release": place.release, "state": place.state(), "version": __version__, "datasets": datasets}

    def per_state(self, what: str, read: Callable[[Reading], Any]) -> Any:
        """A fact that is read again when the data changed, but not while a load goes on changing them."""
        state = self.place.state()
        kept = self._facts.get(what)
        if kept is None or (kept.state != state and time.monotonic() > kept.until):
            with self._reading:
                if self._facts.get(what) is kept:
                    value = self.read(read, 4 * PAGE_SECONDS)
                    self._facts[what] = Fact(state, time.monotonic() + LEAST_SECONDS, value)
                    memory.give_back()  # of hundreds of thousands of rows that became something smaller
        return self._facts[what].value

    def read(self, work: Callable[[Reading], Any], seconds: float = PAGE_SECONDS) -> Any:
        """Do what needs the data in one transaction; again where a load publishes in between.

        Raises:
            BusyError: it takes too long, or loads publish each time.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                with self.place.reading(seconds) as reading:
                    return work(reading)
            except ReplacedError:
                if not tries_left:
                    raise
        return None

    @contextmanager
    def slot(self, files: bool = False) -> Iterator[None]:
        """Wait until few enough others are being answered.

        Raises:
            BusyError: it takes too long.
        """
        places = self._files if files else self._requests
        if not places.acquire(timeout=WAIT_SECONDS):
            raise BusyError("The server has too much to do: try again in a few seconds.")
        try:
            yield
        finally:
            places.release()

    def keep(self, key: str, make: Callable[[], tuple[bytes, Headers]]) -> tuple[bytes, Headers]:
        """What is kept for a key, or what `make` makes of it."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            with self.slot():
                kept = make()
            with self._lock:
                self._kept[key] = kept
                while sum(len(body) for body, _ in self._kept.values()) > MOST_KEPT_BYTES:
                    self._kept.popitem(last=False)
        return kept


class Visit:
    """A request to a site."""

    def __init__(self, request: Request):
        self.request = request
        self.site: Site = request.app.state.site

    def reply(self, media: str, make: Callable[[], bytes | tuple[bytes, Headers]], **headers: str) -> Response:
        """Answer with what is kept for the address, or make it; 304 where the client has it already."""
        site, asked = self.site, self.request
        text = "\n".join((site.place.state(), __version__, site.root, asked.url.path, asked.url.query))
        tag = hashlib.sha256(text.encode()).hexdigest()[:24]
        packs = "gzip" in asked.headers.get("accept-encoding", "")
        given = {"ETag": f'W/"{tag}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **headers}
        if tag in asked.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=given)

        def packed() -> tuple[bytes, Headers]:
            made = make()
            body, own = made if isinstance(made, tuple) else (made, {})
            if packs and len(body) > WORTH_PACKING:
                return igzip.compress(body, 1), own | {"Content-Encoding": "gzip"}
            return body, own

        body, own = site.keep(f"{tag} {packs} {media}", packed)
        return Response(body, media_type=media, headers=given | own)

    def json(self, work: Callable[[Reading], Any]) -> Response:
        """Answer with what is made of the data, as JSON."""
        return self.reply("application/json", lambda: as_json(self.site.read(work)))


def as_json(value: Any) -> bytes:
    """JSON of rows; times as ISO has them, of UTC."""
    return orjson.dumps(value, _plain, orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


At = Annotated[Visit, Depends(Visit)]
_DATASETS = """
SELECT dataset, title, release, license, licence, citation, doi, homepage, is_redistributable, is_non_commercial,
    is_simulated
FROM dataset ORDER BY dataset"""
