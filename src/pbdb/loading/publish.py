"""Publish a dataset: a load fills the tables of a new generation, then makes it the current one in one transaction.

Readers see the state before or the one after, whole, by their snapshot; none of them waits, and none is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import pandas as pd
from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import DataError
from pbdb.common.ids import stable_id
from pbdb.common.progress import Progress, silent
from pbdb.common.rows import Row
from pbdb.common.version import __version__
from pbdb.database import partitions, signature_rows, tidy
from pbdb.database.copy_text import copy_frame, insert_new, upsert
from pbdb.database.models import Base
from pbdb.effects.stored_fit import GENE_FACTS, OF_COUNTS, StoredFit
from pbdb.identity.compounds import in_database, names_in_database
from pbdb.identity.vocabulary import genes as vocabulary_genes
from pbdb.loading.copy_effects import copy_effects, copy_gene_effects
from pbdb.loading.table_rows import Tables, dataset_id
from pbdb.matches import match_table
from pbdb.server import locks

TURN = "100s"  # for which a load waits for another's publish or a search for matches, in each of its tries
KEPT_WHERE_NULL = {
    "context": ("tissue", "disease", "sex", "development_stage", "ethnicity", "donor", "parent_context"),
    "compound": (
        "parent_inchikey",
        "skeleton",
        "pubchem_cid",
        "pubchem_title",
        "smiles",
        "parent_smiles",
        "formula",
        "molecular_weight",
        "fingerprint",
        "pattern_fingerprint",
    ),
}


@dataclass(frozen=True)
class Load:
    """What a dataset becomes: rows of its tables, its fits (None: leave effects out), and their fingerprints.

    genes: gene_key, symbol, with Ensembl ids as index: of the canonical matrix.
    """

    dataset: str
    tables: Tables
    fits: Sequence[StoredFit] | None
    fingerprint: str
    effects_fingerprint: str | None
    genes: pd.DataFrame
    finish: Callable[[Connection], None] = field(default=lambda connection: None)

    @property
    def dataset_id(self) -> int:
        """Key of the dataset."""
        return dataset_id(self.dataset)


def publish(engine: Engine, load: Load, progress: Progress = silent) -> match_table.Matched:
    """Replace a dataset in the database, its matches with it; until the last moment the old one stands.

    The caller holds the dataset's lock. Killed anywhere, the old data stay and leftovers go with the next load.

    Raises:
        ServerError: another load, or a search for matches, keeps a lock we need.
        DataError: the rows do not fit together.
    """
    with engine.begin() as connection:
        others = _other_fits(connection, load)
        generation = partitions.new_generation(connection)
    busy = f"Generation {generation} of dataset '{load.dataset}' is being made by another process"
    try:
        with locks.exclusive(engine, partitions.lock_name(generation), busy):
            matched = _make(engine, load, generation, others, progress)
    finally:
        tidy.tidy(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        partitions.analyze(connection)
        for table in ("source_compound", "compound", "fit", "fit_sample", "gene", "match", "signature"):
            connection.exec_driver_sql(f"ANALYZE core.{table}")
        # Coverage is counted from an index alone, but only of rows that a vacuum has seen: six times as fast.
        connection.exec_driver_sql("VACUUM (ANALYZE) core.condition")
    return matched


def _make(engine: Engine, load: Load, generation: int, others: list[int], progress: Progress) -> match_table.Matched:
    built = dict(_build(engine, load, generation, others, progress))
    what = f"Loading dataset '{load.dataset}'"
    with engine.begin() as connection:
        locks.with_retries(connection, lambda: partitions.attach(connection, load.dataset_id, generation, built), what)
    partitions.settle(engine)
    with engine.begin() as connection:
        return locks.with_retries(
            connection, lambda: _replace(connection, load, generation, others), what, match_table.LOCK
        )


def append(engine: Engine, load: Load, progress: Progress = silent) -> None:
    """Store further fits of a loaded dataset beside its default ones; a fit that is there is replaced.

    Of `load` its fits and genes are read; the samples stay as they are.
    """
    with engine.begin() as connection:
        fits = _fit_ids(load)
        own = {"dataset_id": load.dataset_id, "fits": fits}
        for table in ("gene_effect", "effect"):
            connection.execute(
                text(f"DELETE FROM core.{table} WHERE dataset_id = :dataset_id AND fit_id = ANY(:fits)"), own
            )
        _upsert_fits(connection, load)
        generation = partitions.current(connection, load.dataset_id)
        if generation is None:
            raise DataError(f"Dataset '{load.dataset}' has no effects: load it again with --force.")
        by_effect, by_gene = (partitions.partition(table, generation) for table in ("effect", "gene_effect"))
        copy_effects(connection, by_effect, load.dataset_id, load.fits or (), progress, freeze=False)
        copy_gene_effects(connection, by_gene, load.dataset_id, load.fits or (), freeze=False)
        connection.execute(text("DELETE FROM core.fit_sample WHERE fit_id = ANY(:fits)"), own)
        for stored, fit_id in zip(load.fits or (), fits, strict=True):
            copy_frame(connection, "core.fit_sample", stored.samples.assign(fit_id=fit_id))


def remove(engine: Engine, dataset: str) -> None:
    """Take a dataset out of the database, its ledger excepted."""
    key = {"dataset_id": dataset_id(dataset)}
    with engine.begin() as connection:
        partitions.retire(connection, key["dataset_id"])
        for table in ("fit", "condition", "source_compound", "plate", "dataset"):
            connection.execute(text(f"DELETE FROM core.{table} WHERE dataset_id = :dataset_id"), key)
        connection.execute(text("DELETE FROM core.artifact WHERE dataset = :dataset"), {"dataset": dataset})
    tidy.tidy(engine)


def _other_fits(connection: Connection, load: Load) -> list[int]:
    """Fits that stay: those of samples that this load does not change, default ones unless it brings new ones."""
    rows = connection.execute(
        text(
            "SELECT f.fit_id FROM core.fit f JOIN core.dataset d USING (dataset_id) "
            "WHERE d.dataset = :dataset AND d.fingerprint = :fingerprint AND (NOT f.is_default OR :all)"
        ),
        {"dataset": load.dataset, "fingerprint": load.fingerprint, "all": not _brings_default(load)},
    )
    new = _fit_ids(load)
    return [int(fit_id) for (fit_id,) in rows if fit_id not in new]


def _brings_default(load: Load) -> bool:
    return any(stored.facts.is_default for stored in load.fits or ())


def _fit_ids(load: Load) -> list[int]:
    return [stored.facts.fit_id for stored in load.fits or ()]


def _build(engine: Engine, load: Load, generation: int, others: list[int], progress: Progress) -> list[tuple[str, str]]:
    """Fill and index the standalone tables, each in a transaction of its own; no lock of a parent is held meanwhile.

    Both orientations of the effects at once: each keeps one process of the server busy.
    """
    fits = load.fits or ()

    def samples(connection: Connection, name: str) -> None:
        copy_frame(connection, name, load.tables["sample"], "FREEZE")

    def by_effect(connection: Connection, name: str) -> None:
        copy_effects(connection, name, load.dataset_id, fits, progress, freeze=True)
        _copy_others(connection, name, "effect", load, others)

    def by_gene(connection: Connection, name: str) -> None:
        copy_gene_effects(connection, name, load.dataset_id, fits, freeze=True)
        _copy_others(connection, name, "gene_effect", load, others)

    def build(table: str, fill: Callable[[Connection, str], None]) -> tuple[str, str]:
        with engine.begin() as connection:
            name = partitions.create_standalone(connection, table, load.dataset_id, generation)
        with engine.begin() as connection:
            partitions.empty(connection, name)
            fill(connection, name)
            partitions.finish(connection, table, name)
        return table, name

    built = [build("sample", samples)]
    with ThreadPoolExecutor(2) as pool:
        return built + list(pool.map(build, ("effect", "gene_effect"), (by_effect, by_gene)))


def _copy_others(connection: Connection, name: str, table: str, load: Load, others: list[int]) -> None:
    if others:
        columns = ", ".join(column.name for column in Base.metadata.tables[f"core.{table}"].columns)
        connection.execute(
            text(
                f"INSERT INTO {name} ({columns}) SELECT {columns} FROM core.{table} "
                "WHERE dataset_id = :dataset_id AND fit_id = ANY(:others)"
            ),
            {"dataset_id": load.dataset_id, "others": others},
        )


def _replace(connection: Connection, load: Load, generation: int, others: list[int]) -> match_table.Matched:
    """Everything that makes the new state the dataset's: rows of plain tables, the current generation, what follows.

    Seen by others at the commit, all of it. The lock of matches comes first, and is waited for: it makes loads publish
    one after the other, so that none waits for rows of another.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{TURN}'")
    locks.take(connection, match_table.LOCK)
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{locks.LIMIT}'")
    before = match_table.read_before(connection, load.dataset)
    tables = load.tables
    has_new_effects = load.fits is not None or not others
    own = {"dataset_id": load.dataset_id}
    insert_new(connection, "assay", tables["assay"])
    upsert(connection, "dataset", tables["dataset"].assign(**_prints(connection, load, has_new_effects)))
    contexts = _with_names_in_use(connection, tables["context"], own)
    for table, rows in (("context", contexts), ("compound", tables["compound"])):
        upsert(connection, table, rows, keep=KEPT_WHERE_NULL[table])
    in_database.remember(connection, load.dataset_id)
    for table in ("source_compound", "plate", "condition"):
        upsert(connection, table, tables[table])
    _replace_annotations(connection, tables, own)
    if has_new_effects:
        _upsert_fits(connection, load)
        _replace_fit_samples(connection, load)
        vocabulary_genes.mark_stale(connection)
    partitions.make_current(connection, load.dataset_id, generation)
    if has_new_effects:
        signature_rows.replace(connection, load.dataset_id, generation)
        kept = [*_fit_ids(load), *others]
        _delete_vanished(connection, "fit", "fit_id", own, kept)
    for table, key in (("condition", "condition_id"), ("source_compound", "source_compound_id"), ("plate", "plate_id")):
        _delete_vanished(connection, table, key, own, tables[table][key].tolist())
    partitions.refuse_orphans(connection, load.dataset_id, generation)
    in_database.record(connection)
    names_in_database.choose(connection, load.dataset_id)
    load.finish(connection)
    return match_table.refresh_dataset(connection, load.dataset, before)


def _prints(connection: Connection, load: Load, has_new_effects: bool) -> dict[str, str | None]:
    """Fingerprints of the dataset; that of effects stays where the effects stay."""
    if has_new_effects:
        return {"fingerprint": load.fingerprint, "effects_fingerprint": load.effects_fingerprint}
    row = connection.execute(
        text("SELECT effects_fingerprint FROM core.dataset WHERE dataset = :dataset"), {"dataset": load.dataset}
    ).scalar_one_or_none()
    return {"fingerprint": load.fingerprint, "effects_fingerprint": row}


def _with_names_in_use(connection: Connection, contexts: pd.DataFrame, own: dict[str, int]) -> pd.DataFrame:
    """The contexts, called as other data sets that have them call them: no load renames the cells of another."""
    if contexts.empty:
        return contexts
    in_use: dict[int, str] = {int(key): str(name) for key, name in connection.execute(_NAMES_IN_USE, own)}
    named = [in_use.get(key, name) for key, name in zip(contexts["context_id"], contexts["context_name"], strict=True)]
    return contexts.assign(context_name=named)


def _replace_annotations(connection: Connection, tables: Tables, own: dict[str, int]) -> None:
    connection.execute(
        text(
            "DELETE FROM core.compound_annotation WHERE source_compound_id IN "
            "(SELECT source_compound_id FROM core.source_compound WHERE dataset_id = :dataset_id)"
        ),
        own,
    )
    insert_new(connection, "compound_annotation", tables["compound_annotation"])


def _upsert_fits(connection: Connection, load: Load) -> None:
    fits = list(load.fits or ())
    _insert_genes(connection, load)
    sets = {_feature_set_id(stored): stored for stored in fits}
    insert_new(
        connection,
        "feature_set",
        pd.DataFrame(
            {
                "feature_set_id": list(sets),
                "n_genes": [len(stored.gene_keys) for stored in sets.values()],
                "gene_keys": [stored.gene_keys.tolist() for stored in sets.values()],
            }
        ),
    )
    if _brings_default(load):
        connection.execute(
            text("UPDATE core.fit SET is_default = false WHERE dataset_id = :dataset_id"),
            {"dataset_id": load.dataset_id},
        )
    # As objects: a whole number that another fit lacks would become a float, which PostgreSQL takes for no integer.
    upsert(connection, "fit", pd.DataFrame([_fit_row(load, stored) for stored in fits], dtype=object))


def _insert_genes(connection: Connection, load: Load) -> None:
    """Add genes that no imported vocabulary has brought, with the source's own labels."""
    table = pd.DataFrame(
        {
            "gene_key": load.genes["gene_key"].to_numpy(),
            "gene_id": load.genes.index.to_numpy(),
            "symbol": load.genes["symbol"].astype(object).to_numpy(),
            "status": "unchecked",
        }
    )
    insert_new(connection, "gene", table)


def _feature_set_id(stored: StoredFit) -> int:
    return stable_id("feature_set", *stored.gene_keys.tolist())


def _fit_row(load: Load, stored: StoredFit) -> Row:
    facts = {name: value for name, value in asdict(stored.facts).items() if name not in ("dataset", "context")}
    return {
        **facts,
        "dataset_id": load.dataset_id,
        "context_id": stable_id("context", stored.facts.context),
        "feature_set_id": _feature_set_id(stored),
        "is_stale": False,
        "effect_ids": stored.effects["effect_id"].iloc[: stored.n_ok].tolist(),
        "condition_ids": stored.effects["condition_id"].iloc[: stored.n_ok].tolist(),
        **{name: stored.gene_fact(name).tolist() for name in GENE_FACTS},
        **{name: stored.gene_fact(name).tolist() if stored.tests_counts else None for name in OF_COUNTS},
        "code_version": __version__,
    }


def _replace_fit_samples(connection: Connection, load: Load) -> None:
    connection.execute(text("DELETE FROM core.fit_sample WHERE fit_id = ANY(:new)"), {"new": _fit_ids(load)})
    for stored in load.fits or ():
        samples = stored.samples.assign(fit_id=stored.facts.fit_id)
        copy_frame(connection, "core.fit_sample", samples)


def _delete_vanished(connection: Connection, table: str, key: str, own: dict[str, int], kept: list[int]) -> None:
    connection.execute(
        text(
            f"DELETE FROM core.{table} WHERE dataset_id = :dataset_id "
            f"AND NOT EXISTS (SELECT FROM unnest(CAST(:kept AS bigint[])) k WHERE k = {key})"
        ),
        own | {"kept": [int(identifier) for identifier in kept]},
    )


_NAMES_IN_USE = text("""
    SELECT x.context_id, x.context_name FROM core.context x
    WHERE EXISTS (SELECT FROM core.condition c WHERE c.context_id = x.context_id AND c.dataset_id <> :dataset_id)""")
