"""Publish a dataset: tables are built and indexed beside the old ones, then swapped in one short transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from pbdb.common.errors import PbdbError
from pbdb.common.ids import stable_id
from pbdb.common.progress import Progress, silent
from pbdb.common.version import __version__
from pbdb.database import partitions
from pbdb.database.copy_text import copy_frame, insert_new, upsert
from pbdb.effects.stored_fit import GENE_FACTS, StoredFit
from pbdb.identity.compounds import in_database, names_in_database
from pbdb.identity.vocabulary import genes as vocabulary_genes
from pbdb.loading.copy_effects import copy_effects, copy_gene_effects
from pbdb.loading.table_rows import Tables, dataset_id
from pbdb.server import locks

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
        "screen",
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


def publish(engine: Engine, load: Load, progress: Progress = silent) -> None:
    """Replace a dataset in the database; until the last moment the old one stands.

    The caller holds the dataset's lock. Killed anywhere, the old data stay and leftovers go with the next load.

    Raises:
        ServerError: a session keeps a lock we need.
    """
    with engine.begin() as connection:
        partitions.drop_leftovers(connection, load.dataset)
        others = _other_fits(connection, load)
    try:
        built = dict(_build(engine, load, others, progress))
        with engine.begin() as connection:
            locks.patiently(
                connection, lambda: _replace(connection, load, built, others), f"Loading dataset '{load.dataset}'"
            )
    except Exception:
        _clear(engine, load)
        raise
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        partitions.analyze(connection, *built)
        for table in ("condition", "source_compound", "compound", "fit", "fit_sample", "gene"):
            connection.exec_driver_sql(f"ANALYZE core.{table}")


def _clear(engine: Engine, load: Load) -> None:
    """Drop what a failed load has built; where even that fails the next load does it."""
    with suppress(SQLAlchemyError, PbdbError), engine.begin() as connection:
        partitions.drop_leftovers(connection, load.dataset)


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
        copy_effects(connection, "core.effect", load.dataset_id, load.fits or (), progress, freeze=False)
        copy_gene_effects(connection, "core.gene_effect", load.dataset_id, load.fits or (), freeze=False)
        connection.execute(text("DELETE FROM core.fit_sample WHERE fit_id = ANY(:fits)"), own)
        for stored, fit_id in zip(load.fits or (), fits, strict=True):
            copy_frame(connection, "core.fit_sample", stored.samples.assign(fit_id=fit_id))


def remove(engine: Engine, dataset: str) -> None:
    """Take a dataset out of the database, its ledger excepted."""
    key = {"dataset_id": dataset_id(dataset)}
    with engine.begin() as connection:
        for table in ("gene_effect", "effect", "sample"):
            partitions.drop_partition(connection, table, key["dataset_id"])
        for table in ("fit", "condition", "source_compound", "plate", "dataset"):
            connection.execute(text(f"DELETE FROM core.{table} WHERE dataset_id = :dataset_id"), key)
        connection.execute(text("DELETE FROM core.artifact WHERE dataset = :dataset"), {"dataset": dataset})


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


def _build(engine: Engine, load: Load, others: list[int], progress: Progress) -> Iterator[tuple[str, str]]:
    """Fill and index the standalone tables, each in a transaction of its own; no lock of a parent is held meanwhile."""
    yield "sample", _standalone(engine, load, "sample", lambda connection, name: _copy_samples(connection, name, load))
    if load.fits is None and others:
        return
    fits = load.fits or ()

    def by_effect(connection: Connection, name: str) -> None:
        copy_effects(connection, name, load.dataset_id, fits, progress, freeze=True)
        _copy_others(connection, name, "effect", load, others)

    def by_gene(connection: Connection, name: str) -> None:
        copy_gene_effects(connection, name, load.dataset_id, fits, freeze=True)
        _copy_others(connection, name, "gene_effect", load, others)

    yield "effect", _standalone(engine, load, "effect", by_effect)
    yield "gene_effect", _standalone(engine, load, "gene_effect", by_gene)


def _standalone(engine: Engine, load: Load, table: str, fill: Callable[[Connection, str], None]) -> str:
    with engine.begin() as connection:
        name = partitions.create_standalone(connection, table, load.dataset, load.dataset_id, secrets.token_hex(4))
    with engine.begin() as connection:
        partitions.empty(connection, name)
        fill(connection, name)
        partitions.finish(connection, table, name)
    return name


def _copy_samples(connection: Connection, name: str, load: Load) -> None:
    copy_frame(connection, name, load.tables["sample"], "FREEZE")


def _copy_others(connection: Connection, name: str, table: str, load: Load, others: list[int]) -> None:
    if others:
        connection.execute(
            text(
                f"INSERT INTO {name} SELECT * FROM core.{table} "
                "WHERE dataset_id = :dataset_id AND fit_id = ANY(:others)"
            ),
            {"dataset_id": load.dataset_id, "others": others},
        )


def _replace(connection: Connection, load: Load, built: dict[str, str], others: list[int]) -> None:
    tables = load.tables
    own = {"dataset_id": load.dataset_id}
    insert_new(connection, "assay", tables["assay"])
    upsert(connection, "dataset", tables["dataset"].assign(**_prints(connection, load, built)))
    for table in ("context", "compound"):
        upsert(connection, table, tables[table], keep=KEPT_WHERE_NULL[table])
    in_database.remember(connection, load.dataset_id)
    for table in ("source_compound", "plate", "condition"):
        upsert(connection, table, tables[table])
    _replace_annotations(connection, tables, own)
    if "effect" in built:
        _upsert_fits(connection, load)
        _replace_fit_samples(connection, load)
        vocabulary_genes.mark_stale(connection)
    # From here on readers wait: what takes time stands above.
    for table in ("gene_effect", "effect", "sample"):
        if table in built:
            partitions.swap(connection, table, load.dataset_id, built[table])
    if "effect" in built:
        kept = [*_fit_ids(load), *others]
        _delete_vanished(connection, "fit", "fit_id", own, kept)
    for table, key in (("condition", "condition_id"), ("source_compound", "source_compound_id"), ("plate", "plate_id")):
        _delete_vanished(connection, table, key, own, tables[table][key].tolist())
    in_database.record(connection)
    names_in_database.choose(connection, load.dataset_id)
    load.finish(connection)


def _prints(connection: Connection, load: Load, built: dict[str, str]) -> dict[str, str | None]:
    """Fingerprints of the dataset; that of effects stays where the effects stay."""
    if "effect" in built:
        return {"fingerprint": load.fingerprint, "effects_fingerprint": load.effects_fingerprint}
    row = connection.execute(
        text("SELECT effects_fingerprint FROM core.dataset WHERE dataset = :dataset"), {"dataset": load.dataset}
    ).scalar_one_or_none()
    return {"fingerprint": load.fingerprint, "effects_fingerprint": row}


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
    upsert(connection, "fit", pd.DataFrame([_fit_row(load, stored) for stored in fits]))


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


def _fit_row(load: Load, stored: StoredFit) -> dict[str, Any]:
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
        own | {"kept": [int(one) for one in kept]},
    )
