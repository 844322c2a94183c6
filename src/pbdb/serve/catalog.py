"""What can be asked for by name: views and functions with their columns, as the catalog describes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pyarrow as pa

from pbdb.database import view_files
from pbdb.serve.place import Place

# What makes a row of a view one; the order of its rows, and where its next page begins.
KEYS = {
    "agreement": "match_id metric",
    "agreement_summary": "dataset_a dataset_b metric quantity inchikey_level time_tolerance_h dose_window"
    " parameters_id",
    "compound": "compound_id",
    "compound_alias": "alias kind dataset compound_id source_compound_id",
    "compound_annotation": "kind value compound_name parent_inchikey origin dataset",
    "compendium": "n_datasets",
    "condition": "condition_id",
    "condition_effect": "effect_id gene_id",
    "context": "context",
    "coverage": "dataset context",
    "compound_embedding": "model parent_inchikey",
    "dataset": "dataset",
    "effect": "effect_id",
    "any_effect": "effect_id",
    "further_effect": "effect_id",
    "effect_sample": "effect_id role sample_id",
    "embedding_model": "model",
    "etl_run": "etl_run_id",
    "evaluation": "evaluation task evaluated_on learner statistic quantity",
    "fit": "fit_id",
    "fit_gene": "fit_id gene_id",
    "gene": "gene_id",
    "gene_response": "gene_id effect_id",
    "matched_condition": "match_id",
    "matched_effect": "match_id gene_id",
    "matched_gene": "gene_id match_id",
    "mechanism": "mechanism compound_name",
    "replicate_agreement": "condition_id metric",
    "replicate_effect": "effect_id gene_id",
    "sample": "sample_id",
    "split": "split",
    "split_member": "split condition_id",
    "acts_like": "parent_inchikey",
    "compare": "gene_id",
    "compound_responses": "effect_id",
    "dose_response": "dataset context time_h dose_um effect_id",
    "find_compound": "compound_name inchikey",
    "gene_counts": "dataset context gene_id",
    "neighbours": "effect_id",
    "similar_compounds": "inchikey",
    "strongest_conditions": "effect_id",
}
# Functions order their rows by what they are asked for.
SORTED_BY = {
    "acts_like": "cosine",
    "neighbours": "similarity",
    "similar_compounds": "tanimoto",
    "find_compound": "is_exact",
    "strongest_conditions": "log2_fc",
}
# A view of millions of rows: one of these columns must be given a value, or a list of values.
NEEDS = {
    "condition_effect": "effect_id condition_id compound_name inchikey",
    "effect_sample": "effect_id condition_id sample_id",
    "fit_gene": "fit_id gene_id gene_symbol",
    "gene_response": "gene_id gene_symbol",
    "matched_effect": "match_id condition_id_a condition_id_b compound_name",
    "matched_gene": "gene_id gene_symbol match_id",
    "replicate_effect": "compound_name effect_id condition_id sample_id inchikey",
    "sample": "sample_id condition_id compound_name dataset",
}
# What a column may hold, and the names both engines have for it.
TYPES = {
    "integer": (pa.int64(), ("bigint", "integer", "smallint", "hugeint", "ubigint")),
    "number": (pa.float64(), ("double precision", "double", "real", "float", "numeric")),
    "boolean": (pa.bool_(), ("boolean",)),
    "text": (pa.string(), ("text", "varchar", "character varying")),
    "date": (pa.date32(), ("date",)),
    "timestamp": (pa.timestamp("us", "UTC"), ("timestamp with time zone",)),
    "list": (pa.list_(pa.string()), ("text[]", "varchar[]")),
    "numbers": (pa.list_(pa.float32()), ("real[]", "float[]")),
    "json": (pa.string(), ("json", "jsonb")),
}
_KINDS = {name: kind for kind, (_, names) in TYPES.items() for name in names}


@dataclass(frozen=True)
class Column:
    """A column: its kind is one of TYPES."""

    name: str
    sql_type: str
    comment: str = ""

    @property
    def kind(self) -> str:
        """What it holds; text where that is nothing we know."""
        return _KINDS.get(self.sql_type, "text")

    @property
    def arrow(self) -> pa.Field:
        """The column in Arrow, the same for both engines."""
        of_kind = pa.float32() if self.sql_type in ("real", "float") else TYPES[self.kind][0]
        return pa.field(self.name, of_kind, metadata={"description": self.comment})


@dataclass(frozen=True)
class View:
    """A view, or a function with its arguments (of which `required` come first)."""

    name: str
    comment: str
    columns: dict[str, Column] = field(default_factory=dict)
    arguments: dict[str, Column] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    @property
    def key(self) -> list[str]:
        """Columns that make a row one."""
        return [name for name in KEYS[self.name].split() if name in self.columns]

    @property
    def needs(self) -> list[str]:
        """Columns of which one must be given; none where the view is small."""
        return NEEDS.get(self.name, "").split()


def read(place: Place) -> dict[str, View]:
    """Every view and function that can be asked, by name."""
    with place.reading() as reading:
        rows = reading.ask(_OF_DATABASE if place.is_database else _OF_SNAPSHOT)
    known: dict[str, View] = {}
    for row in rows:
        if row["name"] in KEYS:
            view = known.setdefault(row["name"], View(row["name"], row["comment"] or ""))
            view.columns[row["col"]] = Column(row["col"], str(row["type"]).lower(), row["words"] or "")
    words = {name: column.comment for view in known.values() for name, column in view.columns.items()}
    files = {path.stem.split("_", 1)[1]: path for path in view_files.files()}
    functions = {name: _function(name, files[name].read_text(), words) for name in KEYS if name not in known}
    return dict(sorted(known.items())) | functions


def _function(name: str, text: str, words: dict[str, str]) -> View:
    """A function as its file in sql/ declares it; its columns have the words of the views'."""
    declared = rf"^CREATE FUNCTION pbdb\.{name}\((.*?)\)\s*RETURNS TABLE \((.*?)\)"
    inside, outside = re.findall(declared, text, re.M | re.S)[0]
    comment = " ".join(re.findall(r"'([^']*)'", text[text.index("COMMENT ON FUNCTION") :]))
    given = _declared(inside, {})
    required = tuple(name for name, part in zip(given, inside.split(","), strict=True) if "DEFAULT" not in part)
    return View(name, " ".join(comment.split()), _declared(outside, words), given, required)


def _declared(text: str, words: dict[str, str]) -> dict[str, Column]:
    parts = [part.split(" DEFAULT ")[0].split(maxsplit=1) for part in text.split(",")]
    return {name: Column(name, kind.strip(), words.get(name, "")) for name, kind in parts}


_OF_DATABASE = """
SELECT c.relname AS name, obj_description(c.oid, 'pg_class') AS comment, a.attname AS col,
    format_type(a.atttypid, NULL) AS type, col_description(c.oid, a.attnum) AS words
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'pbdb'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
ORDER BY c.relname, a.attnum"""
_OF_SNAPSHOT = """
SELECT c.table_name AS name, v.comment, c.column_name AS col, c.data_type AS type, c.comment AS words
FROM duckdb_columns() c JOIN duckdb_views() v ON v.view_oid = c.table_oid AND v.schema_oid = c.schema_oid
WHERE NOT v.internal AND c.schema_name = 'main'
ORDER BY c.table_name, c.column_index"""
