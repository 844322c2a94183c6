"""What an export holds: which datasets may be passed on, which fits and effects are chosen, and their arrays.

Everything is read in one snapshot of the database, arrays in blocks of bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg
from psycopg.rows import dict_row

from pbdb.common.errors import QueryError
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.database import copy_binary
from pbdb.query import database, names
from pbdb.server import connect

Connection = psycopg.Connection[tuple[Any, ...]]
Floats = npt.NDArray[np.float32]
BYTES_PER_BLOCK = 64 << 20
HAVE_LIMMA = ("neg_log10_p", "neg_log10_p_adj")


class Written(TypedDict):
    """What every export tells: where it is and how large; its own counts besides."""

    out: str
    bytes: int


@dataclass(frozen=True)
class Choice:
    """Estimated effects of default fits: of some datasets, contexts (id or name) and compounds; all by default.

    compounds: by name, InChIKey or InChIKey of the parent. include: datasets that may not be passed on and are
    exported nevertheless, for one's own use.
    """

    datasets: Sequence[str] = ()
    contexts: Sequence[str] = ()
    compounds: Sequence[str] = ()
    include: Sequence[str] = ()


@dataclass(frozen=True)
class FitChoice:
    """A default fit with its genes (a row of `genes` for each array element) and the effects chosen of it.

    facts: of the fit, its dataset and its context.
    """

    facts: Row
    genes: pd.DataFrame
    effects: pd.DataFrame

    @property
    def context_id(self) -> str:
        """Its context as every file for other tools writes it: CVCL_0023, where the database says CVCL:0023."""
        return str(self.facts["context"]).replace(":", "_", 1)

    @property
    def context_text(self) -> str:
        """Context, and stratum where there is one, as the published files write it: CVCL_0023, CL_0000515_0.0625."""
        return "_".join(part for part in (self.context_id, self.facts["stratum"]) if part)


@contextmanager
def snapshot(settings: Settings) -> Iterator[Connection]:
    """Read as pbdb_reader, everything as it stood at one moment, whatever is loaded meanwhile.

    Raises:
        SchemaError: the schema is not that of this version.
    """
    database.ready(settings)
    with connect.connect_as_reader(settings, "pbdb export") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def frame(connection: Connection, query: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
    """Rows of a query as a data frame of Python objects."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names)


def datasets(connection: Connection, choice: Choice) -> pd.DataFrame:
    """The datasets an export may hold: those chosen that may be passed on, and those included.

    Raises:
        QueryError: a dataset is not there, or may not be passed on and is not included.
    """
    names.require_known(connection, datasets=[*choice.datasets, *choice.include])
    table = frame(connection, _DATASETS)
    allowed = table["is_redistributable"] | table["dataset"].isin(choice.include)
    barred = table[~allowed & table["dataset"].isin(choice.datasets)]
    if len(barred):
        name, license = barred.iloc[0][["dataset", "license"]]
        raise QueryError(
            f"Dataset '{name}' may not be passed on ({license}): say --include {name} to export it for your own use.",
            dataset=name,
        )
    if not allowed.any():
        raise QueryError(
            "No dataset that may be passed on is loaded: load one, or say --include NAME of another for your own use."
        )
    chosen = table["dataset"].isin(choice.datasets) if choice.datasets else True
    return table[allowed & chosen].reset_index(drop=True)


def fits(connection: Connection, choice: Choice) -> Iterator[FitChoice]:
    """Yield the default fits that hold chosen effects, dataset by dataset and context by context.

    Raises:
        QueryError: as `datasets`, a compound or context is not there, or no estimated effect fits the choice.
    """
    allowed = datasets(connection, choice)["dataset"].tolist()
    names.require_known(connection, compounds=choice.compounds, contexts=choice.contexts)
    wanted = {"datasets": allowed, "contexts": list(choice.contexts) or None}
    empty = True
    for facts in connection.cursor(row_factory=dict_row).execute(_FITS, wanted).fetchall():
        key = {"dataset_id": facts["dataset_id"], "fit_id": facts["fit_id"]}
        effects = frame(connection, _EFFECTS, key | {"compounds": list(choice.compounds) or None})
        if len(effects):
            empty = False
            yield FitChoice(facts, _genes(connection, key), effects)
    if empty:
        raise QueryError(
            f"No estimated effect fits the choice{_words(choice)}: `SELECT * FROM coverage` shows what there is."
        )


def _words(choice: Choice) -> str:
    parts = (*choice.datasets, *choice.contexts, *choice.compounds)
    return f" ({', '.join(parts)})" if parts else ""


def _genes(connection: Connection, key: Mapping[str, object]) -> pd.DataFrame:
    """Genes of a fit in array order, with what the fit knows of each (NaN where it keeps nothing)."""
    genes = frame(connection, _GENES, key)
    for name in ("ave_expr", "sigma", "s2_post", "df_total"):
        genes[name] = pd.to_numeric(genes[name], errors="coerce").astype("float64")
    return genes


def rows_at_once(n_genes: int, n_arrays: int) -> int:
    """Effects of a block that stay within BYTES_PER_BLOCK when computed in float64."""
    return max(1, BYTES_PER_BLOCK // (8 * n_arrays * max(1, n_genes)))


def blocks(
    connection: Connection, chosen: FitChoice, arrays: Sequence[str], rows: int | None = None, *, limma: bool = False
) -> Iterator[tuple[slice, dict[str, Floats]]]:
    """Yield consecutive rows of `chosen.effects` with their arrays (effects x genes, float32).

    limma: take limma's p values where the fit shows those of counts.
    """
    n_genes = len(chosen.genes)
    step = rows or rows_at_once(n_genes, 2 * len(arrays))
    layout = {name: np.empty((0, n_genes), dtype=np.float32) for name in arrays}
    columns = ", ".join(
        f"coalesce(e.{name}_limma, e.{name})" if limma and name in HAVE_LIMMA else f"e.{name}" for name in arrays
    )
    ids = chosen.effects["effect_id"].tolist()
    for start in range(0, len(ids), step):
        part = ids[start : start + step]
        key = [chosen.facts["dataset_id"], chosen.facts["fit_id"], part]
        with connection.cursor().copy(_ARRAYS.format(columns=columns), key) as copy:
            decoded = copy_binary.decode(b"".join(bytes(piece) for piece in copy), layout)
        values = {name: decoded[name]["value"].astype(np.float32) for name in arrays}
        yield slice(start, start + len(part)), values


_DATASETS = """
SELECT d.dataset_id, d.dataset, d.source, d.title, d.release, d.license, d.citation, d.doi,
    d.is_redistributable, d.overlap_group, a.technology, a.readout
FROM core.dataset d JOIN core.assay a USING (assay_id) ORDER BY d.dataset"""

_FITS = """
SELECT f.fit_id, f.dataset_id, d.dataset, d.source, d.release, d.license, d.citation, a.technology,
    x.context_id, x.context, x.context_name, x.tissue, x.disease, x.development_stage, x.organism, x.sex, x.ethnicity,
    f.stratum, f.method, f.n_samples, f.n_vehicle, f.df_prior, f.report->'s2_prior_median' AS s2_prior_median,
    f.parameters->'min_cells' AS min_cells, f.code_version
FROM core.fit f JOIN core.dataset d USING (dataset_id) JOIN core.assay a USING (assay_id)
JOIN core.context x USING (context_id)
WHERE f.is_default AND f.mode = 'pooled' AND d.dataset = ANY(%(datasets)s)
AND (%(contexts)s::text[] IS NULL OR x.context = ANY(%(contexts)s) OR x.context_name = ANY(%(contexts)s)
    OR replace(x.context, ':', '_') = ANY(%(contexts)s))
ORDER BY d.dataset, x.context, f.stratum NULLS FIRST"""

# The wells of a condition differ; as in the published files the first one of the fit lends its plate and counts.
_EFFECTS = """
SELECT e.effect_id, e.condition_id, s.name AS source_name, s.compound_name, k.inchikey, k.parent_inchikey, k.skeleton,
    k.pubchem_cid, c.dose_fm, c.dose_um, c.time_h, e.n_treated, e.n_vehicle, e.n_plates, m.plate, m.well, m.n_cells,
    m.n_counts, m.library
FROM core.effect e
JOIN core.condition c USING (condition_id)
JOIN core.source_compound s USING (source_compound_id)
LEFT JOIN core.compound k USING (compound_id)
LEFT JOIN LATERAL (
    SELECT p.plate, w.well, w.n_cells, w.n_counts, w.attributes->>'library' AS library
    FROM core.sample w JOIN core.plate p USING (plate_id)
    WHERE w.dataset_id = %(dataset_id)s AND w.condition_id = e.condition_id AND w.in_fit
    ORDER BY p.plate, w.well, w.sample_id LIMIT 1
) m ON true
WHERE e.dataset_id = %(dataset_id)s AND e.fit_id = %(fit_id)s AND e.status = 'ok'
AND (%(compounds)s::text[] IS NULL OR s.compound_name = ANY(%(compounds)s) OR k.inchikey = ANY(%(compounds)s)
    OR k.parent_inchikey = ANY(%(compounds)s))
ORDER BY e.effect_id"""

_GENES = """
SELECT u.gene_key, g.gene_id, g.symbol, g.entrez_id, g.is_landmark, u.ave_expr, u.sigma, u.s2_post, u.df_total
FROM core.fit f JOIN core.feature_set h USING (feature_set_id)
CROSS JOIN LATERAL unnest(h.gene_keys, f.ave_expr, f.sigma, f.s2_post, f.df_total)
    WITH ORDINALITY u (gene_key, ave_expr, sigma, s2_post, df_total, place)
JOIN core.gene g ON g.gene_key = u.gene_key
WHERE f.fit_id = %(fit_id)s ORDER BY u.place"""

_ARRAYS = """
COPY (SELECT {columns} FROM core.effect e WHERE e.dataset_id = %s AND e.fit_id = %s AND e.effect_id = ANY(%s)
ORDER BY e.effect_id) TO STDOUT (FORMAT binary)"""
