"""A provider of files on loopback that can be slow of memory: it resumes, breaks off, or refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Provider:
    """What it serves, and how: `breaks_at` is the byte after which every answer ends early, `wants` a header."""

    url: str = ""
    contents: dict[str, bytes] = field(default_factory=dict)
    breaks_at: int | None = None
    wants: str | None = None
    sent: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def provider() -> Iterator[Provider]:
    """Serve files until the block ends."""
    state = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    state: Provider

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        content = self.state.contents.get(self.path[1:])
        if content is None:
            self.send_error(404)
            return
        if self.state.wants not in (None, self.headers.get("Authorization")):
            self.send_error(401)
            return
        start, end = _range(self.headers.get("Range"), len(content))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("ETag", f'"{hash(content)}"')
        self.send_header("Content-Length", str(end - start))
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.end_headers()
        if with_body:
            self._send(content, start, end)

    def _send(self, content: bytes, start: int, end: int) -> None:
        last = end if self.state.breaks_at is None else max(start, min(end, self.state.breaks_at))
        self.state.sent.append((self.path[1:], start))
        self.wfile.write(content[start:last])
        self.close_connection = last < end

    def log_message(self, *words: object) -> None:
        pass


def _range(header: str | None, size: int) -> tuple[int, int]:
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", header or "bytes=0-")
    assert asked is not None
    return int(asked[1]), min(int(asked[2]) + 1, size) if asked[2] else size
