"""A server on the loopback interface that answers like PubChem's PUG REST service, over a few compounds."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GREEN = "Request Count status: Green (0%), Request Time status: Green (0%), Service status: Green (20%)"

COMPOUNDS: dict[int, dict[str, Any]] = {
    2244: {"SMILES": "CC(=O)OC1=CC=CC=C1C(=O)O", "InChIKey": "BSYNRYMUTXBXSQ-UHFFFAOYSA-N", "Title": "Aspirin"},
    4091: {"SMILES": "CN(C)C(=N)N=C(N)N", "InChIKey": "XZWYZXLIPXDOLR-UHFFFAOYSA-N", "Title": "Metformin"},
    14219: {
        "SMILES": "CN(C)C(=N)N=C(N)N.Cl",
        "InChIKey": "OETHQSJEHLVLGH-UHFFFAOYSA-N",
        "Title": "Metformin Hydrochloride",
    },
    5311: {
        "SMILES": "C1=CC=C(C=C1)NC(=O)CCCCCCC(=O)NO",
        "InChIKey": "WAEXFXRVDQXREF-UHFFFAOYSA-N",
        "Title": "Vorinostat",
    },
    679: {"SMILES": "CS(=O)C", "InChIKey": "IAZDPXIOMUYVGZ-UHFFFAOYSA-N", "Title": "Dimethyl Sulfoxide"},
    962: {"SMILES": "O", "InChIKey": "XLYOFNOQVPJJNP-UHFFFAOYSA-N", "Title": "Water"},
    22247451: {"SMILES": "O", "InChIKey": "XLYOFNOQVPJJNP-UHFFFAOYSA-N", "Title": "oxidane"},
}
NAMES: dict[str, list[int]] = {
    "vorinostat": [5311],
    "saha": [5311],
    "149647-78-9": [5311],
    "metformin": [14219, 4091],
    "wonder drug": [2244, 5311],
    "dmso": [679],
}


class Service(ThreadingHTTPServer):
    """requests: (path, fields) of all requests; troubles: what goes wrong with the next ones; throttle: the header."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.troubles: list[str] = []
        self.throttle = GREEN

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/rest/pug"


@contextmanager
def running() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        self.server.requests.append((self.path, fields))
        trouble = self.server.troubles.pop(0) if self.server.troubles else ""
        if trouble == "busy":
            self._fault(503, "PUGREST.ServerBusy", "Too many requests or server too busy")
        elif trouble == "slow":
            time.sleep(0.5)
        elif trouble == "cut":
            self._send(200, b'{"PropertyTable": {"Prop')
        elif trouble == "bad":
            self._fault(400, "PUGREST.BadRequest", "Unable to standardize the given structure")
        else:
            self._answer(fields)

    def _answer(self, fields: dict[str, str]) -> None:
        prefix = "/rest/pug/compound/"
        answer: dict[str, Any] | None = None
        if self.path == f"{prefix}name/cids/JSON":
            cids = NAMES.get(fields["name"].lower())
            answer = {"IdentifierList": {"CID": cids}} if cids else None
        elif self.path.startswith(f"{prefix}cid/property/"):
            answer = _table([cid for cid in map(int, fields["cid"].split(",")) if cid in COMPOUNDS])
        elif self.path.startswith(f"{prefix}inchikey/property/"):
            keys = fields["inchikey"].split(",")
            answer = _table([cid for cid, row in COMPOUNDS.items() if row["InChIKey"] in keys])
        if answer is None:
            self._fault(404, "PUGREST.NotFound", "No CID found")
        else:
            self._send(200, json.dumps(answer).encode())

    def _fault(self, status: int, code: str, message: str) -> None:
        self._send(status, json.dumps({"Fault": {"Code": code, "Message": message}}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Throttling-Control", self.server.throttle)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _table(cids: list[int]) -> dict[str, Any] | None:
    rows = [{"CID": cid, **COMPOUNDS[cid]} for cid in cids]
    return {"PropertyTable": {"Properties": rows}} if rows else None
