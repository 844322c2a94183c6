"""What pbdb_public sees is what it would see had the closed data sets never been loaded: in tables, views, functions.

A database with two open datasets is copied, and one that may not be passed on is loaded into the copy, with matches,
agreement, splits, ledger and artifacts that name it. Everything the catalog lists is then asked in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import made
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import name_of, query, value
from rows import add_learning, add_signatures, insert
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from vocabulary_tables import gene_table

from pbdb.common.settings import Settings
from pbdb.database.models.policies import VISIBLE
from pbdb.identity.vocabulary import releases
from pbdb.server import connect
from pbdb.server.connect import PUBLIC
from pbdb.sources.declaration import Assay, CompoundColumns, Context, Dataset, Files, Source

SMILES = {"DMSO": "CS(C)=O", "x": "CCO", "y": "CCCO", "z": "CCCCO"}
SECRET = "secret"
COMPOUND = "SELECT inchikey FROM core.compound WHERE name LIKE '%%{}%%' ORDER BY 1 LIMIT 1"


def _compounds(names: dict[str, str]) -> Any:
    """A compound table: what a dataset calls each compound."""

    def compounds(files: Files) -> pd.DataFrame:
        rows = [(key, names.get(key, key), smiles, f"moa of {names.get(key, key)}") for key, smiles in SMILES.items()]
        return pd.DataFrame(rows, columns=["drug", "name", "smiles", "moa"])

    return compounds


def _declared(key: str, names: dict[str, str], **terms: Any) -> Source:
    table = CompoundColumns(_compounds(names), key="drug", name="name", smiles="smiles", annotations={"moa": "moa"})
    dataset = Dataset(release="1", license=f"license of {key}", citation=key, **terms)
    cells = {"A": Context("CVCL:0001", "A"), "B": Context(f"{key}:B", f"{key} B")}
    assay = Assay(f"{key} method" if key == SECRET else "made", "counts")
    return made.source(key=key, title=key, assay=assay, datasets={key: dataset}, compounds=table, contexts=cells)


def _sheet(**changes: Any) -> pd.DataFrame:
    """The made sheet, twice: in cells A, which all datasets have, and B, of the dataset's own."""
    one = made.sheet()
    both = [one.assign(sample=one["sample"] + cells, cells=cells) for cells in "AB"]
    return pd.concat(both, ignore_index=True).assign(**changes)


@dataclass(frozen=True)
class Both:
    """A database without the closed dataset and one with it, as pbdb_public sees them; and the latter's settings."""

    without: Connection
    with_closed: Connection
    settings: Settings


@pytest.fixture(scope="module")
def both(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    place = tmp_path_factory.mktemp("public")
    with new_database(database_server, place / "home", template) as without:
        genes = made.write(place / "open_one", _sheet(plate="p1"))
        releases.import_files(without, "genes", gene_table(place, "genes.tsv"), "made")
        made.load(without, genes, _declared("open_one", {"x": "ethanol"}, is_redistributable=True))
        other = made.write(place / "open_two", _sheet(note=""), made.counts(_sheet()["sample"].tolist(), seed=2))
        made.load(
            without, other, _declared("open_two", {"x": "ethyl alcohol", "y": "propanol"}, is_redistributable=True)
        )
        _add_what_a_load_does_not_make(without)
        with new_database(database_server, place / "home", name_of(without)) as with_closed:
            table = _sheet(note=f"{SECRET} note", drug=["z" if d == "y" else d for d in _sheet()["drug"]])
            closed = made.write(place / "closed", table, made.counts(table["sample"].tolist(), n_genes=50, seed=3))
            made.load(with_closed, closed, _declared(SECRET, {"x": SECRET[:3] + "x", "z": f"{SECRET} z"}))
            _add_what_a_load_does_not_make(with_closed)
            with _public(without) as before, _public(with_closed) as after:
                yield Both(before, after, with_closed)


@contextmanager
def _public(settings: Settings) -> Iterator[Connection]:
    """A connection in the role pbdb_public, which a rollback does not leave."""
    with connect.engine(settings).connect() as connection:
        connection.exec_driver_sql(f"SET ROLE {PUBLIC}")
        connection.commit()
        yield connection


def _add_what_a_load_does_not_make(settings: Settings) -> None:
    """Signatures, agreement, splits and a replicate effect of every dataset that has none yet."""
    with connect.engine(settings).begin() as connection:
        rows = connection.execute(
            text("""SELECT m.match_id, m.dataset_id_a, m.dataset_id_b, m.condition_id_a, m.condition_id_b
            FROM core.match m WHERE NOT EXISTS (SELECT FROM core.agreement a WHERE a.match_id = m.match_id)
            ORDER BY 1""")
        ).all()
        for row in rows:
            _add_agreement(connection, *row)
        seed = connection.execute(text("SELECT count(*) FROM core.dataset")).scalar_one()
        _add_members(connection, f"split {seed}")
        _add_learning(connection, seed)
        signature = np.random.default_rng(seed).normal(0, 1, 978).round(3).tolist()
        connection.execute(
            text("UPDATE core.effect SET landmark_t = CAST(:l AS halfvec), n_landmarks = 900 WHERE landmark_t IS NULL"),
            {"l": str(signature)},
        )
        add_signatures(connection)


def _add_learning(connection: Connection, number: int) -> None:
    """A model and an evaluation of all datasets there are."""
    datasets = connection.execute(text("SELECT dataset FROM core.dataset ORDER BY 1")).scalars()
    add_learning(connection, number, list(datasets))


def _add_members(connection: Connection, split: str) -> None:
    """A split of the conditions that are in none; the first split gets them too."""
    key = len(split) * 1000 + int(split[-1])
    what = {"split_id": key, "split": split, "kind": "compound", "parameters": {}, "code_version": "0"}
    insert(connection, "split", what)
    new = """INSERT INTO core.split_member (split_id, condition_id, fold)
        SELECT s.split_id, c.condition_id, 'test' FROM core.condition c
        CROSS JOIN (SELECT :key AS split_id UNION SELECT min(split_id) FROM core.split) s
        WHERE NOT EXISTS (SELECT FROM core.split_member m WHERE m.condition_id = c.condition_id)"""
    connection.execute(text(new), {"key": key})


STATISTIC = {
    "metric": "spearman_log2_fc", "n": 3, "score": 0.5, "n_source_peers": 0, "n_source_centroid": 0,
    "is_capped": False, "parameters_id": 1,
}  # fmt: skip


def _add_agreement(connection: Connection, match: int, a: int, b: int, one: int, two: int) -> None:
    insert(connection, "agreement", {"match_id": match, "n_target_peers": 0, "n_target_centroid": 0} | STATISTIC)
    counts = dict.fromkeys(("n_matches", "n_defined", "n_units", "n_compounds"), 7)
    facts = {"inchikey_level": "inchikey", "time_tolerance_h": 0, "dose_window": 10, "code_version": "0"}
    pair = {"agreement_summary_id": match, "dataset_id_a": a, "dataset_id_b": b, "metric": "spearman_log2_fc"}
    rest = {"interval_status": "degenerate", "quantity": f"score {match}", "parameters": {}, "parameters_id": 1}
    insert(connection, "agreement_summary", pair | counts | facts | rest)
    for dataset, condition in ((a, one), (b, two)):
        known = "SELECT 1 FROM core.replicate_agreement WHERE condition_id = :key"
        if connection.execute(text(known), {"key": condition}).first() is None:
            row = {"condition_id": condition, "dataset_id": dataset, "n_pairs": 1}
            insert(connection, "replicate_agreement", row | STATISTIC)


def relations(settings: Settings) -> list[str]:
    """Tables of core and views of pbdb, as the catalog lists them."""
    found = query(
        settings,
        """SELECT c.oid::regclass::text FROM pg_class c WHERE (relnamespace = 'core'::regnamespace
        AND relkind IN ('r', 'p', 'm')) OR (relnamespace = 'pbdb'::regnamespace AND relkind IN ('v', 'm', 'r', 'p'))
        ORDER BY relnamespace, relname""",
    )
    return [name for (name,) in found]


def as_public(asked: Connection, statement: str) -> list[str]:
    """The rows of a query as text, sorted; the connection is one of pbdb_public."""
    try:
        return sorted(str(tuple(row)) for row in asked.execute(text(statement)))
    finally:
        asked.rollback()


def test_the_closed_dataset_is_in_every_table_that_has_a_policy(both: Both) -> None:
    # A policy of vocabularies, not of datasets; and the index of signatures, which tests/query looks at.
    empty = {"reference_annotation", "signature_projection", "projected_signature"}
    for table in set(VISIBLE) - empty:
        more = value(both.settings, f"SELECT count(*) FROM core.{table}")
        assert more > len(as_public(both.with_closed, f"SELECT 1 FROM core.{table}")), table


def test_every_table_and_view_shows_what_it_would_without_the_closed_dataset(both: Both) -> None:
    found = relations(both.settings)
    assert len(found) > 40
    for relation in found:
        if relation != "core.alembic_version":
            statement = f"SELECT r::text FROM {relation} r"
            assert as_public(both.with_closed, statement) == as_public(both.without, statement), relation


def test_reader_sees_the_closed_dataset(both: Both) -> None:
    assert value(both.settings, "SELECT count(*) FROM pbdb.dataset") == 3
    assert value(both.settings, "SELECT count(*) FROM pbdb.matched_condition WHERE dataset_b = 'secret'") > 0


# Arguments of every function of schema pbdb, SQL text; those with {} are asked for things of the closed dataset too.
ARGUMENTS = {
    "p_value(real)": ["5"],
    "strongest_conditions(text,integer,text,text[],text[],text[])": [
        "'{gene_id}', 1000",
        "'{gene_id}', 1000, 'up', NULL, NULL, ARRAY['ethanol', 'secret z']",
        "'{gene_id}', 1000, NULL, ARRAY['secret']",
        "'{gene_id}', 1000, NULL, NULL, ARRAY['secret:B', 'secret B']",
    ],
    "compound_responses(text,text[],text[],text[])": [
        "'{gene_id}', ARRAY['secret']",
        "'{gene_id}', (SELECT array_agg(DISTINCT compound_name) FROM core.source_compound)",
    ],
    "gene_counts(text)": ["'{gene_id}'"],
    "neighbours(bigint,integer,boolean,boolean)": [
        "{open_effect}, 1000, false, true",
        "{open_effect}, 1000",
        "{open_effect}, 1000, true",
        "{closed_effect}, 1000",
    ],
    "similarity_floor(double precision,integer)": ["", "0.5, 1000"],
    "compare(bigint,bigint)": [
        "{open_effect}, {open_effect}",
        "{open_effect}, {closed_effect}",
        "{closed_effect}, {open_effect}",
    ],
    "dose_response(text,text)": ["'ethanol', '{gene_id}'", "'secret z', '{gene_id}'"],
    "find_compound(text)": ["''", "'secret'", "'ethanol'", "'e'"],
    "similar_structures(bit,integer)": ["repeat('01', 1024)::bit(2048), 1000"],
    "similar_compounds(text,integer)": ["'{open}', 1000", "'{closed}', 1000"],
    "acts_like(text,integer,text,double precision)": [
        "'{open}', 1000, 'model 2'",
        "'{closed}', 1000, 'model 3'",
        "'secret', 1000",
    ],
    "compound_key(text,text,text,text,bigint)": ["'inchikey', 'a', 'b', 'c', 5"],
    "match_conditions(double precision,text,double precision,text[],integer,boolean)": [
        "10, 'inchikey', 0, NULL, 1, true",
        "1e9, 'skeleton', 1000, NULL, 1, true",
        "10, 'parent_inchikey', 0, ARRAY['secret'], 1, true",
    ],
    "pair_genes(integer[],real[],real[],real[],integer[],real[],real[],real[])": [
        "'{{1}}', '{{1}}', '{{1}}', '{{1}}', '{{1}}', '{{1}}', '{{1}}', '{{1}}'"
    ],
    "gene_pairs(integer)": ["{gene}"],
    "similar_signatures(halfvec,integer,text[],text[],boolean,boolean,bigint[])": [
        "array_fill(1::real, ARRAY[978])::halfvec, 1000, NULL, NULL, false, true, NULL",
        "array_fill(1::real, ARRAY[978])::halfvec, 1000, NULL, NULL, true, false, NULL",
        "array_fill(1::real, ARRAY[978])::halfvec, 1000, ARRAY['secret'], NULL, false, true, NULL",
        "array_fill(1::real, ARRAY[978])::halfvec, 1000, NULL, ARRAY['secret:B', 'secret B'], false, true, NULL",
    ],
}


EFFECT_OF = "SELECT effect_id FROM pbdb.effect WHERE dataset = '{}' AND is_default AND status = 'ok' ORDER BY 1 LIMIT 1"


def functions(settings: Settings) -> list[str]:
    """Functions of schema pbdb, and those of core that can be called (functions of triggers cannot)."""
    found = query(
        settings,
        """SELECT proname || '(' || coalesce(string_agg(format_type(a.type, NULL), ',' ORDER BY a.place), '') || ')'
        FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY a (type, place) ON true
        WHERE pronamespace IN ('pbdb'::regnamespace, 'core'::regnamespace) AND prorettype <> 'trigger'::regtype
        GROUP BY p.oid, proname ORDER BY 1""",
    )
    return [name for (name,) in found]


def test_every_function_answers_as_without_the_closed_dataset(both: Both) -> None:
    assert functions(both.settings) == sorted(ARGUMENTS), "give the new function arguments in ARGUMENTS"
    places = {
        "open": value(both.settings, COMPOUND.format("ethanol")),
        "closed": value(both.settings, COMPOUND.format(SECRET)),
        "gene": value(both.settings, "SELECT gene_key FROM core.gene_effect ORDER BY 1 LIMIT 1"),
        "gene_id": value(both.settings, "SELECT gene_id FROM pbdb.gene_response ORDER BY 1 LIMIT 1"),
        "open_effect": value(both.settings, EFFECT_OF.format("open_one")),
        "closed_effect": value(both.settings, EFFECT_OF.format(SECRET)),
    }
    for function, calls in ARGUMENTS.items():
        for arguments in calls:
            statement = f"SELECT f::text FROM pbdb.{function.partition('(')[0]}({arguments.format(**places)}) f"
            found = as_public(both.with_closed, statement)
            assert found == as_public(both.without, statement), statement
            assert found or SECRET in statement or "{closed" in arguments, statement


def _text_columns(settings: Settings) -> list[tuple[str, str]]:
    found = query(
        settings,
        """SELECT attrelid::regclass::text, quote_ident(attname) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
        WHERE atttypid = 'text'::regtype AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v')
        AND relnamespace IN ('core'::regnamespace, 'pbdb'::regnamespace) ORDER BY 1, 2""",
    )
    return [(relation, column) for relation, column in found if relation != "core.alembic_version"]


def test_no_error_message_carries_a_hidden_value(both: Both) -> None:
    """A cast that fails names the value it failed at; this one fails at hidden values only."""
    columns = _text_columns(both.settings)
    assert len(columns) > 100
    for relation, column in columns:
        fails = f"CAST(CASE WHEN {column} LIKE '%{SECRET}%' THEN {column} ELSE '1' END AS integer) > 0"
        as_public(both.with_closed, f"SELECT 1 FROM {relation} WHERE {fails}")


def _met(connection: Connection, columns: list[tuple[str, str]]) -> list[str]:
    """Columns in which a cheap function of the user's own, run before other conditions, meets a hidden value."""
    met = []
    for relation, column in columns:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"SELECT count(*) FROM {relation} WHERE public.meets({column})")
        except DBAPIError as error:
            assert "met " in str(error)
            met.append(f"{relation}.{column}")
    return met


def test_a_function_of_the_users_own_meets_no_hidden_row(both: Both) -> None:
    """Cheap functions are run first, unless a policy stands before them; the owner's meets what is there."""
    columns = _text_columns(both.settings)
    with connect.engine(both.settings).begin() as owner:
        owner.exec_driver_sql(
            "CREATE FUNCTION public.meets(t text) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS "
            "$$ BEGIN IF t LIKE '%%secret%%' THEN RAISE EXCEPTION 'met %%', t; END IF; RETURN true; END $$"
        )
        assert "source_compound.name" in {name.removeprefix("core.") for name in _met(owner, columns)}
    with _public(both.settings) as connection:
        assert _met(connection, columns) == []


def test_statistics_of_the_planner_show_no_hidden_value(both: Both) -> None:
    shown = as_public(both.with_closed, "SELECT DISTINCT tablename FROM pg_stats WHERE schemaname IN ('core', 'part')")
    assert {name[2:-3] for name in shown}.isdisjoint(VISIBLE)
    assert not any(SECRET in row for row in as_public(both.with_closed, "SELECT most_common_vals::text FROM pg_stats"))


def test_row_security_cannot_be_switched_off(both: Both) -> None:
    with _public(both.settings) as connection:
        connection.exec_driver_sql("SET row_security = off")
        with pytest.raises(DBAPIError, match="would be affected by row-level security"):
            connection.exec_driver_sql("SELECT * FROM core.condition")


def test_no_sequence_is_readable(both: Both) -> None:
    sequences = (
        "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'S' AND relnamespace = 'core'::regnamespace"
    )
    names = [name for (name,) in query(both.settings, sequences)]
    assert names
    for name in names:
        with pytest.raises(DBAPIError, match="permission denied"):
            as_public(both.with_closed, f"SELECT last_value FROM {name}")
