"""What a served place keeps: its catalog, its names, answers by address; and how many requests it lets in."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from fastapi import Request, Response

from pbdb.common.errors import QueryError
from pbdb.common.version import __version__
from pbdb.serve import catalog
from pbdb.serve import names as naming
from pbdb.serve.assets import Asset
from pbdb.serve.catalog import View
from pbdb.serve.place import PAGE_SECONDS, WAIT_SECONDS, BusyError, Place, Reading

AT_ONCE, FILES_AT_ONCE = 8, 2
Headers = dict[str, str]
Make = Callable[[], bytes | tuple[bytes, Headers]]
LEAST_SECONDS = 20.0
MOST_KEPT_BYTES, WORTH_PACKING = 64 << 20, 1000


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
    public: bool
    assets: dict[str, Asset]
    root: str = ""
    _kept: OrderedDict[str, tuple[bytes, Headers]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _facts: dict[str, Fact] = field(default_factory=dict)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _requests: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))
    _files: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(FILES_AT_ONCE))

    @cached_property
    def views(self) -> dict[str, View]:
        """Views and functions by name."""
        return catalog.read(self.place)

    def view(self, name: str) -> View:
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
    def floor(self) -> float:
        """Similarity below which two signatures are no more alike than any two."""
        return float(self.per_state("floor", _floor))

    def per_state(self, what: str, read: Callable[[Reading], Any]) -> Any:
        """A fact that is read again when the data changed, but not while a load goes on changing them."""
        state = self.place.state()
        kept = self._facts.get(what)
        if kept is None or (kept.state != state and time.monotonic() > kept.until):
            with self._reading, self.place.reading(4 * PAGE_SECONDS) as reading:
                if self._facts.get(what) is kept:
                    self._facts[what] = Fact(state, time.monotonic() + LEAST_SECONDS, read(reading))
        return self._facts[what].value

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

    def tag(self, request: Request) -> str:
        """ETag: state of the data, version of the code, address."""
        text = "\n".join((self.place.state(), __version__, self.root, str(request.url.path), str(request.url.query)))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def reply(self, request: Request, media: str, make: Make, headers: Headers | None = None) -> Response:
        """Answer with what is kept for the address, or make it; 304 where the client has it already."""
        tag = self.tag(request)
        packs = "gzip" in request.headers.get("accept-encoding", "")
        given = {"ETag": f'W/"{tag}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **(headers or {})}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=given)
        key = f"{tag} {packs} {media}"
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            with self.slot():
                made = make()
            body, own = made if isinstance(made, tuple) else (made, {})
            packed = packs and len(body) > WORTH_PACKING
            kept = (gzip.compress(body, 5), own | {"Content-Encoding": "gzip"}) if packed else (body, own)
            self._keep(key, kept)
        return Response(kept[0], media_type=media, headers=given | kept[1])

    def _keep(self, key: str, kept: tuple[bytes, Headers]) -> None:
        with self._lock:
            self._kept[key] = kept
            while sum(len(body) for body, _ in self._kept.values()) > MOST_KEPT_BYTES:
                self._kept.popitem(last=False)


def _floor(reading: Reading) -> float:
    (row,) = reading.ask("SELECT similarity_floor() AS value")
    return row["value"] or 0.0
