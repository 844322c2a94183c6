"""Long views have a sibling with the same rows, quick for the other question: a slow one is refused by that name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import psycopg

from pbdb.common.errors import QueryError

SIBLINGS = {
    "condition_effect": "gene_response",
    "gene_response": "condition_effect",
    "matched_effect": "matched_gene",
    "matched_gene": "matched_effect",
}
LONG = re.compile(rf"\b({'|'.join(SIBLINGS)})\b", re.IGNORECASE)
# In the planner's units, of which a server does about a million in a second; below, nobody waits.
SLOW = 1_000_000
TIMES = 10


def require_quick(
    connection: psycopg.Connection[tuple[Any, ...]], query: str, parameters: Mapping[str, object] | None
) -> None:
    """Refuse a query that takes long by one view and would be answered at once by its sibling.

    Raises:
        QueryError: it names the sibling.
    """
    named = sorted({name.lower() for name in LONG.findall(query)})
    if not named:
        return
    cost = _cost(connection, query, parameters)
    if cost is None or cost < SLOW:
        return
    for name in named:
        sibling = SIBLINGS[name]
        # Before a new data set is counted by the server, it expects either view to be cheap for anything.
        if not _COMPARED[sibling].search(query):
            continue
        other = _cost(connection, re.sub(rf"\b{name}\b", sibling, query, flags=re.IGNORECASE), parameters)
        if other is not None and other * TIMES < cost:
            raise QueryError(
                f"By {name} this question takes about {cost / other:,.0f} times as long as by {sibling}: ask {sibling},"
                f" which has the same rows and is quick for {_QUICK_FOR[sibling]}.",
                value=sibling,
            )


def _cost(
    connection: psycopg.Connection[tuple[Any, ...]], query: str, parameters: Mapping[str, object] | None
) -> float | None:
    """What the planner expects; None where it does not take the query, which the query itself will say."""
    try:
        # Prepared, for that takes one statement only.
        done = connection.execute(f"EXPLAIN (FORMAT JSON) {query}", parameters, prepare=True).fetchone()
    except psycopg.Error:
        connection.rollback()
        return None
    found = done[0] if done else []
    plans = json.loads(found) if isinstance(found, str) else found
    return float(plans[0]["Plan"]["Total Cost"]) if plans else None


def _compared(columns: str) -> re.Pattern[str]:
    """A comparison of one of some columns, as text."""
    return re.compile(rf"\b({columns.replace(' ', '|')})\b\"?\s*(=|~|in\b|i?like\b|between\b)", re.IGNORECASE)


_GENE = _compared("gene_id gene_symbol")
_EFFECT = _compared("effect_id condition_id compound_name inchikey parent_inchikey dataset context context_name")
_MATCH = _compared("match_id condition_id_a condition_id_b compound_name inchikey dataset_a dataset_b context")
_COMPARED = {"condition_effect": _EFFECT, "gene_response": _GENE, "matched_effect": _MATCH, "matched_gene": _GENE}
_QUICK_FOR = {
    "condition_effect": "a compound, a condition, a context",
    "gene_response": "a gene",
    "matched_effect": "a compound, a match, a context",
    "matched_gene": "a gene",
}
