"""Independent pieces of work on several cores, each by one thread from beginning to end.

Results do not depend on the number of threads. The caller limits the threads of the linear algebra library to one:
two ways of sharing the cores stand in each other's way (ten times slower on a busy machine).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def each(work: Callable[[_In], _Out], items: Iterable[_In], threads: int) -> Iterator[_Out]:
    """Yield what the work makes of each item, in their order."""
    if threads <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(work, items)
