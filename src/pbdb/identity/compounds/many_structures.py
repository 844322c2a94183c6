"""The standard form of many structures, in several processes where they are worth it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from pbdb.common.progress import Progress, silent
from pbdb.identity.compounds import structure as chem
from pbdb.identity.compounds.structure import Refusal, Structure

_ENOUGH_FOR_A_POOL = 500


def standardise_all(
    structures: Iterable[str], workers: int = 1, progress: Progress = silent
) -> dict[str, Structure | Refusal]:
    """Return the standard form, or the refusal, of every distinct structure."""
    distinct = list(dict.fromkeys(structures))
    found: dict[str, Structure | Refusal] = {}
    for structure, made in zip(distinct, _standardised(distinct, workers), strict=True):
        found[structure] = made
        progress("structures", len(found), len(distinct))
    return found


def _standardised(distinct: list[str], workers: int) -> Iterator[Structure | Refusal]:
    if workers == 1 or len(distinct) < _ENOUGH_FOR_A_POOL:
        yield from map(chem.standardise, distinct)
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(chem.standardise, distinct, chunksize=100)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
