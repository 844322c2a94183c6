"""Search for effects with a similar, or an opposite, signature over the landmark genes.

The search itself is sql/450_similar_signatures.sql; its index, module `signature_index`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from pbdb.common.errors import ConfigError, QueryError, suggestion
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.database.effect_arrays import N_LANDMARKS
from pbdb.server import connect

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Where:
    """What to search in: data sets and contexts (id or name), all by default; n results; exact: without the index."""

    datasets: Sequence[str] = ()
    contexts: Sequence[str] = ()
    n: int = 20
    exact: bool = False

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigError(f"{self.n} results make no sense: give a number from 1.", value=self.n)


@dataclass(frozen=True)
class Effect:
    """An effect, in the words of a sentence about it."""

    effect_id: int
    dataset: str
    compound_name: str
    context_name: str
    dose_um: float
    time_h: float
    n_up: int
    n_down: int


def like_effect(settings: Settings, effect_id: int, where: Where | None = None, *, opposite: bool = False) -> list[Row]:
    """Find the effects most like (or most opposite to) an effect, itself left out, as rows by column.

    Raises:
        QueryError: there is no such effect, data set or context, or the effect has no landmarks.
    """
    with connect.connect_as_reader(settings) as connection:
        row = connection.execute(_LANDMARK, {"effect_id": effect_id}).fetchone()
        if row is None:
            raise QueryError(f"There is no effect {effect_id}: take an effect_id of the view effect.", value=effect_id)
        if row[0] is None:
            raise QueryError(
                f"Effect {effect_id} has no landmark signature: it is of a single well, was not estimated, or its fit"
                " tests fewer than 500 landmark genes.",
                value=effect_id,
            )
        return _search(connection, row[0], where or Where(), opposite, effect_id)


def effect_of(settings: Settings, compound: str, dose_um: float | None, where: Where) -> Effect:
    """Choose the effect of a compound (name or InChIKey) that moves most genes, at a dose and where asked for.

    Raises:
        QueryError: the compound has no effect with a signature there.
    """
    with connect.connect_as_reader(settings) as connection, connection.cursor(row_factory=class_row(Effect)) as cursor:
        chosen = {"compound": compound, "dose_um": dose_um, **_selection(where)}
        effect = cursor.execute(_STRONGEST, chosen).fetchone()
    if effect is None:
        at = "" if dose_um is None else f" at {dose_um:g} uM"
        raise QueryError(
            f"'{compound}' has no effect with a landmark signature{at} in this selection: `pbdb compound show` tells"
            " which names are known, SELECT * FROM effect which doses and contexts there are.",
            value=compound,
        )
    return effect


def _selection(where: Where) -> dict[str, list[str] | None]:
    return {"datasets": list(where.datasets) or None, "contexts": list(where.contexts) or None}


def like_genes(
    settings: Settings,
    up: Sequence[str],
    down: Sequence[str] = (),
    where: Where | None = None,
    *,
    opposite: bool = False,
) -> tuple[list[Row], list[str]]:
    """Find the effects that move genes (symbols or Ensembl ids) up and down; also return the genes left out.

    Genes that are not among the landmarks are left out; an effect of similarity 0 moves none of them, and is no hit.

    Raises:
        QueryError: no gene is a landmark, or one stands on both sides; there is no such data set or context.
    """
    with connect.connect_as_reader(settings) as connection:
        places = dict(connection.execute(_GENES, {"names": [*up, *down]}).fetchall())
        _refuse_both(up, down, places)
        left_out = [name for name in (*up, *down) if name not in places]
        if connection.execute("SELECT FROM pbdb.gene WHERE is_landmark LIMIT 1").fetchone() is None:
            raise QueryError(
                "No landmark genes are known: run `pbdb vocab fetch landmarks` (or `vocab import landmarks` with the "
                "table gene_info of L1000), then load the data again."
            )
        if not places:
            raise QueryError(
                f"None of the {len(left_out)} genes is among the {N_LANDMARKS} landmarks: give symbols or Ensembl ids"
                " of landmark genes (SELECT gene_symbol FROM gene WHERE is_landmark)."
            )
        values = [0.0] * N_LANDMARKS
        for name, index in places.items():
            values[index] = 1.0 if name in up else -1.0
        rows = _search(connection, str(values), where or Where(), opposite, None)
        return [row for row in rows if abs(row["similarity"]) > 0], left_out


@dataclass(frozen=True)
class Untested:
    """Of hits: how many do not test every gene that was searched for, and by gene how many do not test it."""

    n_hits: int
    by_gene: dict[str, int]


def untested(settings: Settings, hits: Sequence[Row], genes: Sequence[str]) -> Untested:
    """Count the hits whose fits do not test landmarks that were searched for: these count as not moved there."""
    asked = {"names": list(genes), "effects": [row["effect_id"] for row in hits]}
    with connect.connect_as_reader(settings) as connection:
        pairs = connection.execute(_UNTESTED, asked).fetchall()
    return Untested(len({effect for _, effect in pairs}), dict(sorted(Counter(name for name, _ in pairs).items())))


def _refuse_both(up: Sequence[str], down: Sequence[str], places: dict[str, int]) -> None:
    """Refuse a gene that is to go up and down, by one name or by two: places tells where each name stands."""
    above = {places.get(name, name) for name in up}
    for name in down:
        if places.get(name, name) in above:
            raise QueryError(f"Gene '{name}' is asked for up and down: give it once.", value=name)


def _search(
    connection: Connection, signature: str, where: Where, opposite: bool, except_effect: int | None
) -> list[Row]:
    _require(connection, "dataset", _DATASETS, where.datasets)
    _require(connection, "context", _CONTEXTS, where.contexts)
    parameters = {
        "signature": signature,
        "n": where.n,
        "datasets": list(where.datasets) or None,
        "contexts": list(where.contexts) or None,
        "opposite": opposite,
        "exact": where.exact,
        "except_effects": None if except_effect is None else [except_effect],
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SEARCH, parameters)
            columns = [column.name for column in cursor.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in cursor]
    except psycopg.Error as problem:
        raise QueryError(f"The search failed: {str(problem).splitlines()[0]}.") from problem


def _require(connection: Connection, what: str, query: LiteralString, asked: Sequence[str]) -> None:
    if not asked:
        return
    known = [str(name) for (name,) in connection.execute(query)]
    for name in asked:
        if name not in known:
            raise QueryError(f"There is no {what} '{name}' in the database: {suggestion(name, known)}", value=name)


def not_searched(settings: Settings, where: Where) -> list[str]:
    """Data sets of a selection whose effects have no signature: they were loaded before the landmarks were known."""
    with connect.connect_as_reader(settings) as connection:
        rows = connection.execute(_WITHOUT, {"datasets": list(where.datasets) or None}).fetchall()
    return [str(dataset) for (dataset,) in rows]


_WITHOUT_LANDMARKS = """
SELECT d.dataset FROM core.dataset d
WHERE EXISTS (SELECT FROM core.effect e WHERE e.dataset_id = d.dataset_id AND e.status = 'ok')
AND NOT EXISTS (SELECT FROM core.effect e WHERE e.dataset_id = d.dataset_id AND e.landmark_t IS NOT NULL)
ORDER BY 1"""
_WITHOUT = f"""
SELECT w.dataset FROM ({_WITHOUT_LANDMARKS}) w
WHERE %(datasets)s::text[] IS NULL OR w.dataset = ANY (%(datasets)s)"""
_UNTESTED = """
SELECT u.name, e.effect_id FROM core.effect e
JOIN core.fit f ON f.fit_id = e.fit_id JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
CROSS JOIN (
    SELECT n.name, g.gene_key FROM unnest(%(names)s::text[]) n (name)
    JOIN core.gene g ON (g.gene_id = n.name OR g.symbol = n.name) AND g.landmark_index IS NOT NULL
) u
WHERE e.effect_id = ANY (%(effects)s::bigint[]) AND u.gene_key <> ALL (h.gene_keys)"""
_DATASETS = "SELECT dataset FROM pbdb.dataset ORDER BY 1"
_CONTEXTS = "SELECT context FROM pbdb.context UNION SELECT context_name FROM pbdb.context ORDER BY 1"
_LANDMARK = "SELECT e.landmark_t::text FROM core.effect e WHERE e.effect_id = %(effect_id)s"
# Of equals the lowest id, so that the same question finds the same effect.
_STRONGEST = """
SELECT v.effect_id, v.dataset, v.compound_name, v.context_name, v.dose_um, v.time_h, v.n_up, v.n_down
FROM pbdb.effect v JOIN core.effect e ON e.effect_id = v.effect_id
WHERE e.landmark_t IS NOT NULL AND (
    lower(v.compound_name) = lower(%(compound)s) OR lower(v.source_compound_name) = lower(%(compound)s)
    OR v.inchikey = %(compound)s)
AND (%(dose_um)s::float8 IS NULL OR v.dose_um = %(dose_um)s)
AND (%(datasets)s::text[] IS NULL OR v.dataset = ANY (%(datasets)s))
AND (%(contexts)s::text[] IS NULL OR v.context = ANY (%(contexts)s) OR v.context_name = ANY (%(contexts)s))
ORDER BY v.n_up + v.n_down DESC, v.effect_id LIMIT 1"""
_GENES = """
SELECT u.name, g.landmark_index FROM unnest(%(names)s::text[]) u (name)
JOIN core.gene g ON g.gene_id = u.name OR g.symbol = u.name WHERE g.landmark_index IS NOT NULL"""
_SEARCH = """
SELECT * FROM pbdb.similar_signatures(%(signature)s::public.halfvec, %(n)s, %(datasets)s, %(contexts)s, %(opposite)s,
    %(exact)s, %(except_effects)s)"""
