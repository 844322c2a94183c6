"""The database for readers: queries as data frames, signatures as AnnData; nothing here can write."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import psycopg

from pbdb.common.errors import QueryError, suggestion
from pbdb.common.rows import plain
from pbdb.common.settings import Settings
from pbdb.database import at_head
from pbdb.database.effect_arrays import BY_EFFECT
from pbdb.query import orientation
from pbdb.server import connect as server

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    import pandas as pd

ROWS_AT_ONCE = 1000
VALUES_AT_ONCE = 1 << 20
_PERCENT = re.compile(r"%%|%\(\w+\)s|%")


def connect(settings: Settings | None = None) -> Database:
    """Open the database that PBDB_DATABASE_URL names, or the embedded one; an empty embedded one gets its schema.

    Raises:
        ServerError: the server cannot be used.
        SchemaError: the schema is not that of this version.
    """
    chosen = settings or Settings.from_environment()
    ready(chosen)
    return Database(chosen)


def ready(settings: Settings) -> None:
    """Make sure that the schema is that of this version; give an empty embedded database its schema.

    Raises:
        SchemaError: the schema is older or newer, or an external database has none; the sentence says what to run.
    """
    with server.connect(settings) as driver:
        if at_head.is_at_head(driver):
            return
    from pbdb.database import schema

    engine = server.engine(settings)
    with engine.connect() as connection:
        is_new = settings.database_url is None and schema.current(connection) is None
    if is_new:
        schema.upgrade(engine)
    with engine.connect() as connection:
        schema.require_head(connection)


def readout(settings: Settings, dataset: str) -> Any:
    """The readout of a loaded dataset: counts or log2_intensity.

    Raises:
        QueryError: it is not loaded.
    """
    query = "SELECT readout FROM core.dataset JOIN core.assay USING (assay_id) WHERE dataset = %s"
    with server.connect(settings) as connection:
        row = connection.execute(query, [dataset]).fetchone()
    if row is None:
        raise QueryError(
            f"Dataset '{dataset}' is not loaded: run `pbdb etl load` of its source first.", dataset=dataset
        )
    return row[0]


def min_cells(settings: Settings, dataset: str) -> int:
    """The least number of cells in the default fits of a loaded dataset; 0 where it has none."""
    query = """SELECT max((parameters->>'min_cells')::int) FROM core.fit JOIN core.dataset USING (dataset_id)
        WHERE is_default AND dataset = %s"""
    with server.connect(settings) as connection:
        row = connection.execute(query, [dataset]).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


@dataclass(frozen=True)
class Database:
    """A database open for reading, as pbdb_reader."""

    settings: Settings

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open between two calls: here as there is something to close in a snapshot."""

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Run one statement in a read-only transaction and return its rows.

        parameters: values for %(name)s in the query, lists and arrays for = ANY(%(name)s); any other % stands for
            itself, as in LIKE '%kinase%'.

        Raises:
            QueryError: the statement fails, writes, is more than one, or asks a long view what its sibling is for.
        """
        import pandas as pd

        with self.rows(query, parameters) as (columns, rows):
            return pd.DataFrame(list(rows), columns=columns)

    @contextmanager
    def rows(
        self, query: str, parameters: Mapping[str, object] | None = None
    ) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
        """Run one statement as `sql` does; give its column names and its rows as they come."""
        given = plain(parameters) if parameters else None
        written = query if given is None else _PERCENT.sub(lambda sign: sign[0].rjust(2, "%"), query)
        with _reader(self.settings) as connection, connection.cursor() as cursor:
            connection.read_only = True
            orientation.require_quick(connection, query, given)
            try:
                # A stream that is left before its end must be closed first: it holds the connection's lock.
                stream = cast("Generator[tuple[Any, ...]]", cursor.stream(written, given, size=ROWS_AT_ONCE))
                with closing(stream) as rows:
                    first = next(rows, None)
                    if first is None:
                        cursor.execute(written, given, prepare=True)  # A stream without rows forgets its columns.
                    yield _columns(cursor), _chained(first, rows)
            except psycopg.Error as problem:
                raise QueryError(_sentence(problem) + _meant(connection, problem)) from None

    def signatures(
        self, *, dataset: str | None = None, context: str | None = None, compound: str | None = None
    ) -> ad.AnnData:
        """Estimated effects of default fits as AnnData: effects x genes.

        X and layer log2_fc: log2 fold changes; layers se, neg_log10_p, neg_log10_p_adj; NaN where a gene was not
        tested. obs: the condition of each effect; var: genes by Ensembl id. All float32; a whole large dataset needs
        16 bytes for each condition and gene.

        Raises:
            QueryError: no effect fits the selection.
        """
        import anndata as ad

        chosen = {"dataset": dataset, "context": context, "compound_name": compound}
        selection = {name: value for name, value in chosen.items() if value is not None}
        where = "".join(f" AND {name} = %({name})s" for name in selection)
        obs = self.sql(_EFFECTS + where + " ORDER BY fit_id, effect_id", selection)
        if obs.empty:
            raise QueryError(f"No estimated effect fits {selection or 'an empty database'}.")
        var = self.sql(_GENES, {"fits": obs["fit_id"].unique().tolist()}).set_index("gene_id")
        layers = self._layers(obs, var)
        obs = obs.drop(columns="fit_id").set_index(obs["effect_id"].astype(str).rename(None))
        return ad.AnnData(layers["log2_fc"], obs=obs, var=var.drop(columns="gene_key"), layers=layers)

    def _layers(self, obs: pd.DataFrame, var: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
        import numpy as np

        from pbdb.database import copy_binary

        layers = {name: np.full((len(obs), len(var)), np.nan, dtype=np.float32) for name in BY_EFFECT}
        place = {key: column for column, key in enumerate(var["gene_key"])}
        with _reader(self.settings) as connection:
            for fit_id in obs["fit_id"].unique().tolist():
                rows = np.flatnonzero(obs["fit_id"] == fit_id)
                keys = connection.execute(_FIT_GENES, [fit_id]).fetchone()
                columns = np.array([place[key] for key in (keys[0] if keys else [])], dtype=np.intp)
                for block in _read_arrays(connection, obs["effect_id"].iloc[rows].tolist(), fit_id, len(columns)):
                    some, rows = rows[: len(block)], rows[len(block) :]
                    for name in BY_EFFECT:
                        layers[name][some[:, None], columns] = copy_binary.values(block, name)
                if len(rows):
                    raise QueryError("A load replaced the effects while they were read: read them again.")
        return layers


@contextmanager
def _reader(settings: Settings) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Connect so that the session is pbdb_reader's: a real login where the server is ours, else a role."""
    with server.connect_as_reader(settings) as connection:
        yield connection


def _columns(cursor: psycopg.Cursor[Any]) -> list[str]:
    if cursor.description is None:
        raise QueryError("The statement returns no rows: pbdb sql only reads, with SELECT.")
    names = [column.name for column in cursor.description]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise QueryError(
            f"Two columns of the result are named '{twice[0]}': name one of them with AS.", column=twice[0]
        )
    return names


def _chained(first: tuple[Any, ...] | None, rest: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    if first is not None:
        yield first
        yield from rest


def _sentence(problem: psycopg.Error) -> str:
    message = problem.diag.message_primary or (str(problem).splitlines() or [type(problem).__name__])[0]
    hint = f" ({problem.diag.message_hint})" if problem.diag.message_hint else ""
    return f"The server refused the query: {message}{hint}"


def _meant(connection: psycopg.Connection[tuple[Any, ...]], problem: psycopg.Error) -> str:
    """Name the view that was meant, where the query names one that is not there."""
    if not isinstance(problem, psycopg.errors.UndefinedTable):
        return ""
    connection.rollback()
    views = [name for (name,) in connection.execute(_VIEWS)]
    written = re.findall(r'"(?:.*\.)?(.+?)"', problem.diag.message_primary or "")
    return f"; {suggestion(written[0], views)}" if written else ""


def _read_arrays(
    connection: psycopg.Connection[tuple[Any, ...]], effects: list[int], fit_id: int, n_genes: int
) -> Iterator[np.ndarray[Any, Any]]:
    """Read the arrays of some effects of one fit, ascending, in blocks, each good until the next one."""
    import numpy as np

    from pbdb.database import copy_binary

    arrays = {name: np.empty((0, n_genes), dtype=np.float32) for name in BY_EFFECT}
    with connection.cursor().copy(_ARRAYS, [fit_id, effects]) as copy:
        yield from copy_binary.Decoder().blocks(copy, arrays, max(1, VALUES_AT_ONCE // max(1, n_genes)))


_VIEWS = "SELECT relname FROM pg_class WHERE relnamespace = 'pbdb'::regnamespace AND relkind = 'v' ORDER BY 1"
_EFFECTS = """
SELECT effect_id, fit_id, condition_id, dataset, compound_name, inchikey, context, context_name, dose_um, time_h,
    stratum, n_treated, n_vehicle, n_plates, n_up, n_down
FROM pbdb.effect WHERE is_default AND status = 'ok'"""
_GENES = """
SELECT DISTINCT g.gene_id, g.gene_key, g.symbol AS gene_symbol FROM core.fit f
JOIN core.feature_set h USING (feature_set_id) CROSS JOIN LATERAL unnest(h.gene_keys) u (gene_key)
JOIN core.gene g ON g.gene_key = u.gene_key WHERE f.fit_id = ANY(%(fits)s) ORDER BY g.gene_key"""
_FIT_GENES = "SELECT h.gene_keys FROM core.fit f JOIN core.feature_set h USING (feature_set_id) WHERE f.fit_id = %s"
_ARRAYS = f"""
COPY (SELECT {", ".join(f"e.{name}" for name in BY_EFFECT)} FROM core.effect e
WHERE e.fit_id = %s AND e.effect_id = ANY(%s) ORDER BY e.effect_id) TO STDOUT (FORMAT binary)"""
