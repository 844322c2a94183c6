"""Structures that visitors give: drawn, compared, searched for, in a process that is ended when it takes too long."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from pbdb.common.errors import ConfigError, PbdbError, QueryError
from pbdb.identity.compounds import structure
from pbdb.serve.place import BusyError, Reading, Row

LONGEST = 2000
SECONDS = 5.0
WIDTH, HEIGHT = 240, 160


@lru_cache(maxsize=2048)
def drawing(smiles: str, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Draw a stored structure as SVG, its background left out."""
    return _transparent(structure.picture(smiles, "svg", width, height))


def drawing_of(text: str, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Draw what a visitor wrote.

    Raises:
        QueryError: it is no structure.
    """
    return _transparent(limited(structure.picture, standard(text).smiles, "svg", width, height))


def standard(text: str) -> structure.Structure:
    """The standard form of a SMILES, InChI or molblock.

    Raises:
        QueryError: it has none.
    """
    if len(text) > LONGEST or "\0" in text:
        raise QueryError(f"A structure may have {LONGEST} characters at most.")
    found = limited(structure.standardise, text)
    if isinstance(found, structure.Refusal):
        raise QueryError(f"The structure cannot be searched for: {found.detail}.")
    assert isinstance(found, structure.Structure)
    return found


def similar(reading: Reading, text: str, n: int) -> list[Row]:
    """Return the n compounds nearest to a structure, with Tanimoto similarity."""
    bits = structure.bit_string(standard(text).fingerprint)
    return reading.ask("SELECT * FROM similar_structures(%(bits)s::bit(2048), %(n)s::integer)", {"bits": bits, "n": n})


def containing(reading: Reading, smarts: str, n: int) -> list[Row]:
    """At most n compounds whose parent contains a pattern (SMARTS or SMILES), by name."""
    if len(smarts) > LONGEST or "\0" in smarts:
        raise QueryError(f"A pattern may have {LONGEST} characters at most.")
    screen = structure.bit_string(limited(structure.pattern_screen, smarts))
    rows = reading.ask(_SCREENED, {"screen": screen})
    places = limited(_matches, smarts, [row.pop("smiles") for row in rows])
    return [rows[place] for place in places[:n]]


def _matches(smarts: str, smiles: list[str]) -> list[int]:
    return list(structure.substructure(smarts, enumerate(smiles)))


def limited(function: Callable[..., Any], *arguments: Any, seconds: float = SECONDS) -> Any:
    """Call a function of this package in a process of its own, which is ended after some seconds.

    Raises:
        BusyError: it took longer.
        PbdbError: as the function.
    """
    receive, send = _context().Pipe(duplex=False)
    process = _context().Process(target=_answer, args=(send, function, arguments), daemon=True)
    process.start()
    send.close()
    try:
        value = (
            receive.recv() if receive.poll(seconds) else BusyError("The structure takes too long: give a smaller one.")
        )
    except EOFError:
        value = QueryError("RDKit gave up on the structure.")
    finally:
        process.kill()
        process.join()
        receive.close()
    if isinstance(value, PbdbError):
        raise value if isinstance(value, BusyError) else QueryError(str(value))
    return value


def _answer(send: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        send.send(function(*arguments))
    except PbdbError as problem:
        send.send(ConfigError(str(problem)))


@cache
def _context() -> Any:
    """A server of processes that has RDKit loaded, so that a new one takes milliseconds."""
    if "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return context


def warm_up() -> None:
    """Start the server of processes, which takes seconds once."""
    limited(len, "", seconds=60.0)


def _transparent(svg: bytes) -> bytes:
    """Without the white rectangle behind, so that a drawing suits any theme."""
    start = svg.find(b"<rect style='opacity:1.0;fill:#FFFFFF")
    return svg if start < 0 else svg[:start] + svg[svg.index(b"</rect>", start) + 7 :]


_SCREENED = """
SELECT name AS compound_name, inchikey, parent_inchikey, parent_smiles AS smiles
FROM core.compound
WHERE replaced_by IS NULL AND pattern_fingerprint & %(screen)s::bit(2048) = %(screen)s::bit(2048)
ORDER BY name, inchikey"""
