"""Arrow schemas of the tables: types from the models, words and units from the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import pyarrow as pa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Double, Integer, Table, Text
from sqlalchemy.dialects.postgresql import BIT, JSONB, REAL, TIMESTAMP

from pbdb.database.dictionary import Entry
from pbdb.database.models import SCHEMA, Base

# Effects have a layout of their own; artifacts are files of one machine, generations what its loads made; signatures,
# names of genes and what conditions are stand in other tables, too.
OF_SEARCH = ("signature", "signature_fit", "signature_projection", "projected_signature")
ELSEWHERE = ("effect", "gene_effect", "artifact", "generation", "feature_set_genes", "fit_conditions", *OF_SEARCH)
SIMPLE: tuple[tuple[type, pa.DataType], ...] = (
    (BigInteger, pa.int64()),
    (Integer, pa.int32()),
    (REAL, pa.float32()),
    (Double, pa.float64()),
    (Boolean, pa.bool_()),
    (TIMESTAMP, pa.timestamp("us", tz="UTC")),
    (JSONB, pa.string()),
    (BIT, pa.string()),
    (VECTOR, pa.string()),
    (Text, pa.string()),
)
AS_TEXT = (JSONB, BIT, VECTOR)
UNITS = (
    ("_um", "micromolar"),
    ("_fm", "femtomolar"),
    ("_h", "hour"),
    ("_mb", "mebibyte"),
    ("seconds", "second"),
    ("log2_fc", "log2 fold change"),
    ("n_bytes", "byte"),
    ("molecular_weight", "g/mol"),
    ("dose_fold", "1"),
)
ANY = ""
Words = Mapping[tuple[str, str | None], str]


def tables() -> list[Table]:
    """Tables of core that a snapshot holds as they are, each after those its foreign keys point at."""
    return [table for table in Base.metadata.sorted_tables if table.name not in ELSEWHERE]


@cache
def schema_of(name: str) -> pa.Schema:
    """Arrow schema of a table of core, without words."""
    return pa.schema([(column.name, _type(column.type)) for column in table_of(name).columns])


def table_of(name: str) -> Table:
    """The model of a table of core."""
    return Base.metadata.tables[f"{SCHEMA}.{name}"]


def selected(column: Column[object]) -> str:
    """SQL of a column as Arrow takes it: JSON, bits and vectors as text."""
    return f"{column.name}::text AS {column.name}" if isinstance(column.type, AS_TEXT) else column.name


def words_of(entries: Iterable[Entry]) -> Words:
    """What the dictionary says of each relation's column; of a column of any relation under ANY."""
    words: dict[tuple[str, str | None], str] = {}
    for entry in entries:
        words[entry.object, entry.column] = entry.comment or ""
        words.setdefault((ANY, entry.column), entry.comment or "")
    return words


def described(schema: pa.Schema, relation: str, words: Words) -> pa.Schema:
    """Add to each field what it means and its unit, to the schema what a row is.

    Metadata keys: `description`, and `unit` where there is one.
    """
    fields = [
        field.with_metadata(_metadata(field.name, words.get((relation, field.name)) or words.get((ANY, field.name))))
        for field in schema
    ]
    return pa.schema(fields, metadata={"description": words.get((relation, None), "")})


def unit(name: str) -> str | None:
    """The unit of a column, which stands in its name."""
    bare = name.removesuffix("_a").removesuffix("_b")
    return next((word for ending, word in UNITS if bare == ending.lstrip("_") or bare.endswith(ending)), None)


def _metadata(name: str, description: str | None) -> dict[str, str]:
    facts = {"description": description, "unit": unit(name)}
    return {key: value for key, value in facts.items() if value}


def _type(kind: object) -> pa.DataType:
    if isinstance(kind, ARRAY):
        return pa.list_(_type(kind.item_type))
    return next(arrow for model, arrow in SIMPLE if isinstance(kind, model))
