"""The dictionary: complete, and the same in the catalog and in docs/."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from pbdb.database import dictionary
from pbdb.database.models import Base


def test_every_entry_has_words(connection: Connection) -> None:
    assert [entry for entry in dictionary.entries(connection) if not entry.comment] == []


def test_every_table_of_the_models_is_in_it(connection: Connection) -> None:
    found = {entry.object for entry in dictionary.entries(connection) if entry.kind == "table"}
    tables = {table.name for table in Base.metadata.tables.values()}
    assert found == tables | {"alembic_version"}


@pytest.mark.parametrize("page", ["dictionary.md", "er_diagram.md"])
def test_docs_are_what_the_database_says(connection: Connection, tmp_path: Path, root: Path, page: str) -> None:
    dictionary.write(connection, tmp_path)
    current = (tmp_path / page).read_text() == (root / "docs" / page).read_text()
    assert current, f"docs/{page} is stale: run `make docs`"


def test_a_view_comes_with_columns_types_and_meanings(connection: Connection) -> None:
    page = dictionary.markdown(dictionary.entries(connection))
    assert "### condition_effect" in page
    assert "| `dose_um` | double precision | Dose in micromolar, computed from dose_fm |" in page
    assert page.index("### coverage") < page.index("### find_compound(query text)") < page.index("### alembic_version")


def test_bars_in_words_do_not_break_the_table() -> None:
    entries = [
        dictionary.Entry("view", "pbdb", "v", None, None, "A view"),
        dictionary.Entry("view", "pbdb", "v", "c", "text", "a|b"),
    ]
    assert "| `c` | text | a\\|b |" in dictionary.markdown(entries)


def test_diagram_draws_keys_with_their_optionality(connection: Connection) -> None:
    page = dictionary.er_diagram(dictionary.entries(connection), dictionary.references(connection))
    assert 'dataset ||--o{ fit : "dataset_id"' in page
    assert 'compound |o--o{ source_compound : "compound_id"' in page
    assert "        bigint dataset_id FK" in page
