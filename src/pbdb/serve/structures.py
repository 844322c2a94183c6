"""Structures that visitors give: drawn, compared, searched for, in a process that is ended when it takes too long."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from contextlib import closing
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pbdb.common.errors import PbdbError, QueryError
from pbdb.common.rows import Row
from pbdb.identity.compounds import structure
from pbdb.serve.place import BusyError, Reading

LONGEST = 2000
SECONDS = 5.0
WIDTH, HEIGHT = 240, 160
Words = npt.NDArray[np.uint64]
NAMED = pa.schema([("compound_name", pa.string()), ("inchikey", pa.string()), ("parent_inchikey", pa.string())])
IDENTIFIED = NAMED.insert(0, pa.field("compound_id", pa.int64()))
FINGERPRINTED = IDENTIFIED.append(pa.field("bits", pa.string()))


@lru_cache(maxsize=2048)
def drawing(smiles: str, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Draw a stored structure as SVG, without the white rectangle behind, so that it suits any theme."""
    svg = structure.picture(smiles, "svg", width, height)
    start = svg.find(b"<rect style='opacity:1.0;fill:#FFFFFF")
    return svg if start < 0 else svg[:start] + svg[svg.index(b"</rect>", start) + 7 :]


def drawing_of(text: str, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Draw what a visitor wrote.

    Raises:
        QueryError: it is no structure.
    """
    drawn: bytes = limited(drawing, standard(text).smiles, width, height)
    return drawn


def standard(text: str) -> structure.Structure:
    """The standard form of a SMILES, InChI or molblock.

    Raises:
        QueryError: it has none.
    """
    found = limited(structure.standardise, _short(text))
    if isinstance(found, structure.Refusal):
        raise QueryError(f"The structure cannot be searched for: {found.detail}.")
    assert isinstance(found, structure.Structure)
    return found


class Fingerprints:
    """The fingerprints of all compounds, compared as fast as memory is read.

    names: columns of IDENTIFIED; bits: a row of words for each.
    """

    def __init__(self, names: pa.Table, bits: Words):
        # The first words of all, then the second of all: each is read at the speed of memory.
        self._names, self._words = names, np.ascontiguousarray(bits.T)
        self._ids = names["compound_id"].to_numpy()
        self._counts = self._shared(np.full(len(self._words), ~np.uint64(0)))

    def nearest(self, bits: Words, n: int) -> list[Row]:
        """Return the n compounds nearest to a fingerprint, as the function similar_structures does."""
        if not len(self._ids):
            return []
        common = self._shared(bits)
        tanimoto = common / (self._counts + np.bitwise_count(bits).sum(dtype=np.int32) - common)
        near = np.flatnonzero(tanimoto >= np.sort(tanimoto)[-n:][0])
        order = near[np.lexsort((self._ids[near], -tanimoto[near]))[:n]]
        rows = self._names.select(NAMED.names).take(pa.array(order)).to_pylist()
        return [row | {"tanimoto": float(value)} for row, value in zip(rows, tanimoto[order], strict=True)]

    def _shared(self, bits: Words) -> npt.NDArray[np.int32]:
        """Of each compound the bits that a fingerprint has, too."""
        shared = np.zeros(len(self._ids), np.int32)
        for words, word in zip(self._words, bits, strict=True):
            if word:
                shared += np.bitwise_count(words & word)
        return shared

    def like(self, inchikey: str, n: int) -> list[Row]:
        """Return the n compounds nearest to one of them, itself left out, as similar_compounds does."""
        place = self._names["inchikey"].index(inchikey).as_py()
        found = self.nearest(self._words[:, place], n + 1) if place >= 0 else []
        return sorted((row for row in found if row["inchikey"] != inchikey), key=_by_likeness)[:n]


def fingerprints(reading: Reading) -> Fingerprints:
    """Read all fingerprints, some at a time."""
    names, bits = [], [np.empty((0, structure.N_BITS // 64), np.uint64)]
    with closing(reading.batches(_FINGERPRINTS, {}, FINGERPRINTED)) as batches:
        for batch in batches:
            signs = np.frombuffer(batch["bits"].buffers()[2], np.uint8)[: batch.num_rows * structure.N_BITS]
            bits.append(np.packbits(signs.reshape(-1, structure.N_BITS) & 1, axis=1).view(np.uint64))
            names.append(batch.drop_columns(["bits"]))
    return Fingerprints(pa.Table.from_batches(names, IDENTIFIED), np.concatenate(bits))


def _by_likeness(row: Row) -> tuple[float, str]:
    return -row["tanimoto"], row["inchikey"]


def similar(known: Fingerprints, text: str, n: int) -> list[Row]:
    """Return the n compounds nearest to a structure, with Tanimoto similarity."""
    return known.nearest(np.frombuffer(standard(text).fingerprint, np.uint64), n)


def containing(reading: Reading, smarts: str, n: int) -> list[Row]:
    """At most n compounds whose parent contains a pattern (SMARTS or SMILES), by name."""
    screen = structure.bit_string(limited(structure.pattern_screen, _short(smarts)))
    rows = reading.ask(_SCREENED, {"screen": screen})
    places = limited(_matches, smarts, [row.pop("smiles") for row in rows])
    return [rows[place] for place in places[:n]]


def _short(text: str) -> str:
    if len(text) > LONGEST or "\0" in text:
        raise QueryError(f"A structure may have {LONGEST} characters at most.")
    return text


def _matches(smarts: str, smiles: list[str]) -> list[int]:
    return list(structure.substructure(smarts, enumerate(smiles)))


def limited(function: Callable[..., Any], *arguments: Any, seconds: float = SECONDS) -> Any:
    """Call a function in a process of its own, which is ended after some seconds.

    Raises:
        BusyError: it took longer, or the process broke down.
        QueryError: the function refuses what it was given.
    """
    try:
        with _context().Pool(1) as pool:
            return pool.apply_async(function, arguments).get(seconds)
    except mp.TimeoutError:
        raise BusyError("The structure takes too long: give a smaller one.") from None
    except PbdbError as problem:
        raise QueryError(str(problem)) from None


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


_FINGERPRINTS = """
SELECT compound_id, name AS compound_name, inchikey, parent_inchikey, fingerprint::text AS bits FROM core.compound
WHERE fingerprint IS NOT NULL AND replaced_by IS NULL ORDER BY compound_id"""
_SCREENED = """
SELECT name AS compound_name, inchikey, parent_inchikey, parent_smiles AS smiles
FROM core.compound
WHERE replaced_by IS NULL AND pattern_fingerprint & %(screen)s::bit(2048) = %(screen)s::bit(2048)
ORDER BY name, inchikey"""
