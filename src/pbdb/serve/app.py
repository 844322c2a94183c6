"""The web application: pages and API of a place, with the headers and limits that keep it safe."""

from __future__ import annotations

import json
import logging
import sys
import threading
from http import HTTPStatus
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pyarrow as pa
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette._utils import get_route_path
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pbdb.common import memory
from pbdb.common.errors import ConfigError, PbdbError, ServerError
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.serve import api, assets, findings, pages, rendering, structures
from pbdb.serve.place import BusyError, DatabasePlace, Place
from pbdb.serve.site import NotFoundError, Site

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_BODY, LONGEST_ADDRESS = 200_000, 60_000
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
log = logging.getLogger(__name__)


def serve(
    folder: Path | None,
    settings: Settings,
    *,
    host: str,
    port: int,
    public: bool,
    root_path: str,
    hosts: tuple[str, ...],
) -> None:
    """Serve a place until stopped.

    Raises:
        ConfigError: a host that others reach without `public`.
    """
    if host not in LOOPBACK and not public:
        raise ConfigError(f"Others reach '{host}': add --public, which shows what may be passed on and nothing else.")
    _spare_memory()
    place = open_place(folder, settings, public)
    try:
        made = create(place, settings.cache, public=public, root_path=root_path, hosts=(*LOOPBACK, host, *hosts))
        uvicorn.run(
            made,
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            h11_max_incomplete_event_size=LONGEST_ADDRESS,
            limit_concurrency=100,
        )
    finally:
        place.close()


def open_place(folder: Path | None, settings: Settings, public: bool) -> Place:
    """Open the snapshot in a folder, or the database of the settings; public: see open data sets only.

    Raises:
        ConfigError: what is there must not be shown in public.
    """
    if folder is None:
        return DatabasePlace(settings, public)
    from pbdb.serve.snapshot import SnapshotPlace  # DuckDB and what reads snapshots take 50 MB

    return SnapshotPlace(folder, public)


class _WithoutPandas(MetaPathFinder):
    """Hides pandas from who looks for it."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Refuse pandas, leave all else to other finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def _spare_memory() -> None:
    """Let Arrow take memory where it is given back, and look for pandas once, in vain.

    Its own pool keeps 90 MB of what names and fingerprints needed while they were read; and to see whether values are
    of pandas it would import 50 MB.
    """
    memory.share_arenas()
    pa.set_memory_pool(pa.system_memory_pool())
    sys.meta_path.insert(0, _WithoutPandas())
    pa.array([0])
    del sys.meta_path[0]


def create(
    place: Place, cache: Path, *, public: bool = False, root_path: str = "", hosts: tuple[str, ...] = LOOPBACK
) -> FastAPI:
    """Make the application over a place; hosts: names under which it may be reached."""
    made = FastAPI(
        title="pbdb", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, root_path=root_path
    )
    made.state.site = Site(place, assets.read(cache), root_path)
    for router in (api.router, pages.router, findings.router):
        made.include_router(router)
    for kind in (PbdbError, HTTPException, RequestValidationError, Exception):
        made.add_exception_handler(kind, _refuse)
    made.add_middleware(Guard, public=public)
    names = [f"[{name}]" if ":" in name else name for name in hosts]
    made.add_middleware(TrustedHostMiddleware, allowed_hosts=names)
    threading.Thread(target=_warm_up, args=(made.state.site,), daemon=True).start()
    return made


def _warm_up(site: Site) -> None:
    try:
        structures.warm_up()
        site.names.exact("")
        site.fingerprints.like("", 1)
    except PbdbError as problem:
        log.warning("%s", problem)


class Guard:
    """Headers for every answer, and a limit on what a request may bring."""

    def __init__(self, app: ASGIApp, public: bool):
        self._app = app
        self._own = HEADERS | ({"Access-Control-Allow-Origin": "*"} if public else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._own.items():
                    headers.setdefault(name, value)
            await send(message)

        length = dict(scope["headers"]).get(b"content-length", b"0")
        size = int(length) if length.isdigit() else LONGEST_BODY + 1
        is_long = size > LONGEST_BODY or len(scope["query_string"]) > LONGEST_ADDRESS
        is_chunked = b"transfer-encoding" in dict(scope["headers"])
        if is_long or is_chunked:
            await _problem(413, "The request is too long: send less.")(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def _refuse(request: Request, problem: Exception) -> Response:
    """An error as RFC 9457 for programs, as a page for people."""
    status, sentence = _said(problem)
    if status >= 500 and not isinstance(problem, PbdbError):
        log.exception("request failed", exc_info=problem)
    # An error that nobody foresaw is answered outside of Guard.
    headers = HEADERS | ({"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {})
    if get_route_path(request.scope).startswith(("/api/", "/assets/", "/openapi", "/healthz")):
        return _problem(status, sentence, headers)
    return rendering.refusal(request, status, sentence, headers)


def _said(problem: Exception) -> tuple[int, str]:
    if isinstance(problem, NotFoundError):
        return 404, str(problem)
    if isinstance(problem, (BusyError, ServerError)):
        return 503, str(problem) if isinstance(problem, BusyError) else "The database cannot be reached."
    if isinstance(problem, PbdbError):
        return 400, str(problem)
    if isinstance(problem, RequestValidationError):
        first = problem.errors()[0]
        return 400, f"'{first['loc'][-1]}' makes no sense: {first['msg']}."
    if isinstance(problem, HTTPException):
        return problem.status_code, "There is no such address." if problem.status_code == 404 else f"{problem.detail}."
    return 500, "Something went wrong that should not: it is in the server's log."


def _problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": sentence}
    return Response(json.dumps(body), status, headers, media_type="application/problem+json")


def run_in_thread(made: Any, port: int = 0) -> tuple[uvicorn.Server, threading.Thread]:
    """Serve on loopback from a thread; for tests and benchmarks."""
    config = uvicorn.Config(made, host="127.0.0.1", port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    return server, thread
