"""pbdb export snapshot: one state of the database as a folder that stands alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Text

from pbdb.common.errors import ConfigError, SnapshotError
from pbdb.common.hashing import sha256_of_file
from pbdb.common.private_files import private_files
from pbdb.common.progress import Reporter, Silent
from pbdb.common.settings import Settings
from pbdb.common.sql_text import quoted
from pbdb.database import dictionary
from pbdb.database.error_messages import exporting
from pbdb.exports.snapshots import (
    arrow_schemas,
    documents,
    duckdb_file,
    effects_parquet,
    long_parquet,
    manifest,
    parquet,
)
from pbdb.exports.snapshots.arrow_schemas import Words
from pbdb.exports.snapshots.database_state import Frozen, frozen, require_datasets
from pbdb.exports.snapshots.manifest_shape import FileFacts, Manifest
from pbdb.exports.snapshots.parquet import Written
from pbdb.exports.snapshots.workspace import Finished, Place, place_of
from pbdb.server import connect, locks

ARRAY, LONG = "array", "long"
# Long views, and views of many rows that a join gives at once: they are read in pbdb.duckdb.
LEFT_TO_DUCKDB = frozenset(
    {"condition_effect", "gene_response", "replicate_effect", "matched_effect", "matched_gene", "fit_gene"}
    | {"effect_sample", "snapshot_damage"}
)


@dataclass(frozen=True)
class Choices:
    """What a snapshot is to hold.

    release: its name. include: datasets to take though their terms do not allow passing them on. layouts: `long` adds
    effects with one row per condition and gene. samples: add the matrices of samples.
    """

    release: str
    include: Sequence[str] = ()
    layouts: Sequence[str] = (ARRAY,)
    samples: bool = False


def export(settings: Settings, out: str, choices: Choices, reporter: Reporter | None = None) -> Manifest:
    """Write a snapshot; return its manifest.

    Stopped anywhere, nothing stands at `out`, and the next call goes on where this one stopped. With data sets that
    may not be passed on, its files are for their user alone.

    Raises:
        SnapshotError: it cannot be written there, or the database does not hold what was asked for.
    """
    if not choices.release.strip():
        raise ConfigError("A release needs a name: give --release, such as 2026.1.")
    place = place_of(out, settings)
    engine = connect.engine(settings)
    with locks.exclusive(engine, f"export {place.address}", f"Another export to '{out}' runs"):
        duckdb_file.require_plain(place.work / duckdb_file.NAME)
        require_datasets(settings, choices.include)
        place.require_free()
        is_private = bool(choices.include) or place.folder is None
        with exporting(f"'{place.work}'"), private_files(settings) if is_private else nullcontext():
            content = _Export(settings, choices, place, reporter or Silent()).run()
            place.publish([*(file["path"] for file in content["files"]), *LAST, duckdb_file.NAME])
    return content


LAST = (manifest.SUMS, manifest.NAME)


class _Export:
    """One run: writes file after file into the work folder."""

    def __init__(self, settings: Settings, choices: Choices, place: Place, reporter: Reporter):
        self.settings, self.choices, self.place, self.reporter = settings, choices, place, reporter
        self.root = place.work
        self.finished = Finished(place.work)
        self.files: list[Written] = []

    def run(self) -> Manifest:
        with connect.engine(self.settings).connect() as connection:
            entries = dictionary.entries(connection)
        words = arrow_schemas.words_of(entries)
        with frozen(self.settings, self.choices.include) as state:
            content = manifest.facts(state, self.choices.release, self.choices.layouts)
            if self.choices.samples:
                self._samples(state)
            self._tables(state, entries, words)
            fits = self._effects(state, words)
            if LONG in self.choices.layouts:
                self._long(state, fits, words)
        content["fingerprint"] = manifest.fingerprint(self.files)
        self._duckdb(words)
        self._papers(content, entries)
        return content

    def _tables(self, state: Frozen, entries: Sequence[dictionary.Entry], words: Words) -> None:
        for table in arrow_schemas.tables():
            schema = arrow_schemas.described(arrow_schemas.schema_of(table.name), table.name, words)
            order = (
                f'{column.name} COLLATE "C"' if isinstance(column.type, Text) else column.name
                for column in table.primary_key
            )
            query = f"SELECT {', '.join(map(arrow_schemas.selected, table.columns))} FROM pg_temp.{table.name}"
            with state.batches(f"{query} ORDER BY {', '.join(order)}") as batches:
                self.files.append(parquet.write(self.root, f"core/{table.name}.parquet", schema, batches))
        words_table = pa.Table.from_pylist([entry._asdict() for entry in entries], schema=duckdb_file.OF_DICTIONARY)
        self.files.append(
            parquet.write(self.root, duckdb_file.DICTIONARY, duckdb_file.OF_DICTIONARY, words_table.to_batches())
        )
        tables = [file for file in self.files if file.rows is not None]
        self.reporter.stage("tables", f"{len(tables)} files, {sum(file.rows or 0 for file in tables):,} rows")

    def _effects(self, state: Frozen, words: Words) -> list[effects_parquet.Fit]:
        kept: list[Written] = []

        def wanted(fit: effects_parquet.Fit, key: str) -> bool:
            file = self.finished.get(fit.path(), key)
            kept.extend([file] if file else [])
            return file is None

        written = []
        for _, key, file in effects_parquet.write(state, wanted, self.root, words, self.reporter.progress):
            self.finished.add(key, file)
            written.append(file)
        self.files += sorted([*kept, *written], key=lambda file: file.path)
        n_rows = sum(file.rows or 0 for file in [*kept, *written])
        again = f", {len(kept)} files of an earlier try kept" if kept else ""
        self.reporter.stage("effects", f"{n_rows:,} effects in {len(kept) + len(written)} fits{again}")
        return effects_parquet.fits(state)

    def _long(self, state: Frozen, fits: Sequence[effects_parquet.Fit], words: Words) -> None:
        hashes = {file.path: file.sha256 for file in self.files}
        n_before = len(self.files)
        for fit in fits:
            if not fit.is_default:
                continue
            genes = state.table(_GENES.format(fit=fit.fit_id))
            key = _digest("long", hashes[fit.path()], genes)
            file = self.finished.get(fit.path(long_parquet.FOLDER), key)
            if file is None:
                file = long_parquet.write(self.root, fit, genes, words, self.reporter.progress)
                self.finished.add(key, file)
            self.files.append(file)
        n_rows = sum(file.rows or 0 for file in self.files[n_before:])
        self.reporter.stage("long", f"{n_rows:,} rows of condition and gene")

    def _samples(self, state: Frozen) -> None:
        matrices = {row["dataset"]: row for row in state.rows(_MATRICES)}
        for dataset in state.datasets:
            source = self.settings.home / matrices[dataset]["path"] if dataset in matrices else None
            if source is None or not source.is_file():
                raise SnapshotError(
                    f"The samples of '{dataset}' are not in '{self.settings.cache}': load it again with `pbdb etl"
                    " load`, or leave --samples out.",
                    dataset=dataset,
                )
            path = f"samples/{dataset}.h5ad"
            file = self.finished.get(path, matrices[dataset]["sha256"])
            self.files.append(file or self._copied(source, path, matrices[dataset]["sha256"]))
        self.reporter.stage("samples", f"{len(state.datasets)} matrices")

    def _copied(self, source: Path, path: str, expected: str) -> Written:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        file = Written(path, target.stat().st_size, sha256_of_file(target))
        if file.sha256 != expected:
            raise SnapshotError(
                f"'{source}' is not as its load left it: load the dataset again with `pbdb etl load`.", file=str(source)
            )
        self.finished.add(expected, file)
        return file

    def _duckdb(self, words: Words) -> None:
        duckdb_file.build(self.root)
        with duckdb_file.opened(self.root / duckdb_file.NAME) as connection:
            names = connection.execute(
                "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
            )
            for (name,) in sorted(names.fetchall()):
                if name not in LEFT_TO_DUCKDB:
                    self.files.append(_view(self.root, connection, name, words))
        duckdb_file.remember(self.root / duckdb_file.NAME, self._listed())
        self.reporter.stage("duckdb", f"{duckdb_file.NAME} with the views of the database")

    def _papers(self, content: Manifest, entries: Sequence[dictionary.Entry]) -> None:
        with duckdb_file.opened(self.root / duckdb_file.NAME) as connection:
            content["duckdb"] = {
                "path": duckdb_file.NAME,
                "schema": duckdb_file.schema_hash(connection),
                "tables": duckdb_file.row_counts(connection),
            }
        content["files"] = self._listed()
        described = json.dumps(documents.croissant(content, self._schemas()), ensure_ascii=False)
        for name, page in (
            ("README.md", documents.readme(content)),
            ("CITATION.cff", documents.citation(content)),
            ("dictionary.md", dictionary.markdown(entries)),
            ("croissant.json", described + "\n"),
        ):
            data = page.encode()
            (self.root / name).write_bytes(data)
            self.files.append(Written(name, len(data), hashlib.sha256(data).hexdigest()))
        content["files"] = self._listed()
        manifest.write(self.root, content)
        sums = {file.path: file.sha256 for file in self.files}
        sums[manifest.NAME] = sha256_of_file(self.root / manifest.NAME)
        lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items()))
        (self.root / manifest.SUMS).write_text(lines, encoding="utf-8")
        self.finished.tidy([*(file.path for file in self.files), *LAST, duckdb_file.NAME])

    def _listed(self) -> list[FileFacts]:
        return [file.as_json() for file in sorted(self.files, key=lambda file: file.path)]

    def _schemas(self) -> dict[str, pa.Schema]:
        """Arrow schemas of the tables and views by path, and of effects by folder."""
        schemas: dict[str, pa.Schema] = {}
        for path in sorted(file.path for file in self.files if file.path.endswith(".parquet")):
            folder = path.partition("/")[0]
            name = path if folder in ("core", "view") else folder
            if name not in schemas and path != duckdb_file.DICTIONARY:
                schemas[name] = pq.read_schema(self.root / path)
        return schemas


def _view(root: Path, connection: Any, name: str, words: Words) -> Written:
    """A view of pbdb.duckdb as Parquet, sorted by all its columns."""
    reader = connection.sql(f"SELECT * FROM {quoted(name)} ORDER BY ALL").to_arrow_reader(parquet.ROWS_PER_GROUP)
    plain = pa.schema([(field.name, _plain(field.type)) for field in reader.schema])
    batches = (batch.cast(plain) for batch in reader)
    return parquet.write(root, f"view/{name}.parquet", arrow_schemas.described(plain, name, words), batches)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that any reader of Parquet knows."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    return pa.list_(_plain(kind.value_type)) if pa.types.is_list(kind) else kind


def _digest(*parts: object) -> str:
    texts = (str(part.to_pylist() if isinstance(part, pa.Table) else part) for part in parts)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


_GENES = """
SELECT g.gene_id, g.symbol AS gene_symbol FROM core.fit f
JOIN core.feature_set s ON s.feature_set_id = f.feature_set_id
CROSS JOIN LATERAL unnest(s.gene_keys) WITH ORDINALITY u (gene_key, place)
JOIN core.gene g ON g.gene_key = u.gene_key
WHERE f.fit_id = {fit} ORDER BY u.place"""
_MATRICES = """
SELECT dataset, path, sha256 FROM core.artifact WHERE kind = 'samples_h5ad'"""
