"""pbdb sql reads, prints what it reads, and can do nothing else."""

from __future__ import annotations

import json

import pytest

from pbdb.common.errors import QueryError

FORBIDDEN = {
    "two statements": "COMMIT; INSERT INTO core.split VALUES (1)",
    "insert": "INSERT INTO core.assay (assay_id, technology, readout) VALUES (1, 'x', 'counts')",
    "delete": "DELETE FROM core.effect",
    "writing in a query": "WITH gone AS (DELETE FROM core.effect RETURNING 1) SELECT * FROM gone",
    "program": "COPY (SELECT 1) TO PROGRAM 'cat'",
    "server file": "SELECT pg_read_file('/etc/passwd')",
    "another role": "SELECT set_config('role', 'postgres', true), "
    "query_to_xml('SELECT pg_read_file(''/etc/passwd'')', true, true, '')",
    "leaving read only": "SELECT set_config('transaction_read_only', 'off', true)",
    "no rows": "CREATE TEMPORARY TABLE t (x int)",
    "partition": "SELECT count(*) FROM part.effect_drugseq",
}


@pytest.mark.parametrize("query", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_does_not_read_is_refused_in_one_sentence(typed, query):
    found = typed("sql", query).exception
    assert isinstance(found, QueryError) and "\n" not in str(found)


def test_refusals_leave_everything_as_it_was(typed):
    assert json.loads(typed("sql", "--json", "SELECT count(*) AS n FROM effect").stdout) == [{"n": 160}]


def test_json_is_an_array_of_objects_without_nan(typed):
    done = typed("sql", "--json", "SELECT 1 AS a, 'NaN'::float8 AS b, 'x' AS c, ARRAY['infinity'::float8] AS d")
    assert json.loads(done.stdout) == [{"a": 1, "b": None, "c": "x", "d": [None]}]


def test_no_rows_are_an_empty_array_and_a_header(typed):
    assert json.loads(typed("sql", "--json", "SELECT 1 AS a WHERE false").stdout) == []
    assert typed("sql", "--format", "csv", "SELECT 1 AS a WHERE false").stdout == "a\n"


def test_duplicate_column_names_are_refused(typed):
    assert "named 'a'" in str(typed("sql", "SELECT 1 AS a, 2 AS a").exception)


def test_query_from_a_file_and_from_standard_input(typed, tmp_path):
    file = tmp_path / "query.sql"
    file.write_text("SELECT 'it''s 100 %' AS a;", encoding="utf-8")
    assert typed("sql", "--format", "csv", "--file", file).stdout == "a\nit's 100 %\n"
    assert typed("sql", "--format", "csv", "-", input="SELECT 2 AS b").stdout == "b\n2\n"
    assert "none.sql' cannot be read: No such file" in str(typed("sql", "--file", tmp_path / "none.sql").exception)
    file.write_text("\n")
    assert "The query is empty" in str(typed("sql", "--file", file).exception)


def test_a_mistake_in_the_query_is_one_sentence(pbdb, typed):
    done = pbdb("sql", "SELECT * FROM coverag")
    # On a busy machine a sign of life may come first.
    assert (done.returncode, len([line for line in done.stderr.splitlines() if "at work" not in line])) == (1, 1)
    assert done.stderr.endswith("relation \"coverag\" does not exist; did you mean 'coverage'?\n")
    assert "did you mean 'gene_response'?" in str(typed("sql", "SELECT * FROM pbdb.gene_reponse").exception)
    assert "known are agreement, " in str(typed("sql", "SELECT * FROM xyz").exception)


def test_a_table_tells_when_it_is_cut(typed):
    done = typed("sql", "SELECT generate_series(1, 1001) AS n")
    assert "first 1,000 rows" in done.stderr
    assert len(done.stdout.splitlines()) == 1002
