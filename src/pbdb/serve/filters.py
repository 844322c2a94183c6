"""From the query of an address to SQL: every name is one of the catalog's, every value is cast before it gets there."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pbdb.common.errors import QueryError, suggestion
from pbdb.exports.snapshots.duckdb_file import literal
from pbdb.serve.catalog import SORTED_BY, Column, View

OPERATORS = {"eq": "=", "ne": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
WORDS = ("in", "contains", "isnull")
MOST_VALUES, LONGEST_VALUE = 2000, 2000
DEFAULT_SIZE, MOST_ROWS, MOST_ROWS_OF_FILES = 100, 10_000, 1_000_000
ORDER_ONLY = {"list", "numbers", "json"}


@dataclass
class Selection:
    """A query of one view or function: SQL, its values, the columns to show and those the next page begins by."""

    view: View
    columns: list[str]
    sort: list[str]
    descending: bool
    size: int
    source: str
    where: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    after: str | None = None

    @property
    def sql(self) -> str:
        """The query: one row more than asked for, so that it is known whether there is a next page."""
        names = [*self.columns, *(name for name in self.sort if name not in self.columns)]
        return self._written(names, [*self.where, *([self.after] if self.after else [])], self.size + 1)

    def to_copy(self) -> str:
        """The query as a person would write it, values in place."""
        columns = ["*"] if self.columns == list(self.view.columns) else self.columns
        return re.sub(
            r"%\((\w+)\)s(?:::[\w ]+(?:\[\])?)?", self._literal, self._written(columns, self.where, self.size)
        )

    def _literal(self, found: re.Match[str]) -> str:
        value = self.given[found[1]]
        if isinstance(value, list):
            return f"ARRAY[{', '.join(map(_literal, value))}]"
        return _literal(value)

    def _written(self, names: list[str], where: list[str], limit: int) -> str:
        # Keys of rows come last and the same way round, so that the order leaves nothing open.
        way = " DESC" if self.descending else ""
        order = ", ".join(f"{name}{way if place == 0 else ''} NULLS LAST" for place, name in enumerate(self.sort))
        filters = f"\nWHERE {' AND '.join(where)}" if where else ""
        return f"SELECT {', '.join(names)}\nFROM {self.source}{filters}\nORDER BY {order}\nLIMIT {limit}"

    def next_token(self, row: dict[str, Any]) -> str:
        """Where the page after this row begins."""
        values = [self._order, *(_plain(row[name]) for name in self.sort)]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")

    @property
    def _order(self) -> str:
        return f"{self.view.name} {'-' if self.descending else ''}{','.join(self.sort)}"

    def begin_after(self, token: str) -> None:
        """Begin after the row whose token this is.

        Raises:
            QueryError: it is of another order of rows, or no token.
        """
        try:
            order, *values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (ValueError, TypeError):
            order, values = None, []
        if order != self._order or len(values) != len(self.sort):
            raise QueryError(
                "_next does not belong to this question: take it from the answer before, all else the same."
            )
        alternatives: list[str] = []
        equal: list[str] = []
        for place, (name, value) in enumerate(zip(self.sort, values, strict=True)):
            if value is not None:
                bound = self.bound(self.view.columns[name], str(value))
                sign = "<" if self.descending and place == 0 else ">"
                alternatives.append(" AND ".join([*equal, f"({name} {sign} {bound} OR {name} IS NULL)"]))
                equal.append(f"{name} = {bound}")
            else:
                equal.append(f"{name} IS NULL")
        self.after = "(" + " OR ".join(f"({one})" for one in alternatives or ["false"]) + ")"

    def bound(self, column: Column, text: str, sql_type: str | None = None) -> str:
        """Keep a value; return what stands for it in the query."""
        name = f"p{len(self.given)}"
        self.given[name] = value_of(column, text)
        return f"%({name})s::{sql_type or _sql_type(column)}"

    def filter_by(self, name: str, operator: str, text: str) -> None:
        """Add a condition on a column."""
        column = self.view.columns[name]
        if operator == "isnull":
            is_null = value_of(Column(f"{name}__isnull", "boolean", "", "boolean"), text)
            self.where.append(f"{name} IS {'' if is_null else 'NOT '}NULL")
        elif operator == "in":
            self.where.append(f"{name} = ANY({self.bound_list(column, text.split(','))})")
        elif operator == "contains":
            self.where.append(self._contains(column, text))
        elif column.kind in ORDER_ONLY:
            raise QueryError(f"'{name}' holds {column.kind} values: filter it by {name}__isnull or {name}__contains.")
        else:
            self.where.append(f"{name} {OPERATORS[operator]} {self.bound(column, text)}")

    def bound_list(self, column: Column, texts: list[str]) -> str:
        """Keep a list of values; return what stands for it in the query."""
        if column.kind in ORDER_ONLY:
            raise QueryError(f"'{column.name}' holds {column.kind} values, which no list can be compared with.")
        if len(texts) > MOST_VALUES:
            raise QueryError(f"{len(texts)} values of '{column.name}' are too many: give at most {MOST_VALUES}.")
        name = f"p{len(self.given)}"
        self.given[name] = [value_of(column, text) for text in texts]
        return f"%({name})s::{_sql_type(column)}[]"

    def _contains(self, column: Column, text: str) -> str:
        if column.kind == "list":
            return f"{self.bound(Column(column.name, 'text', '', 'text'), text)} = ANY({column.name})"
        if column.kind != "text":
            raise QueryError(f"'{column.name}' holds {column.kind} values: __contains is for text.")
        return f"strpos(lower({column.name}), lower({self.bound(column, text)})) > 0"


def select(view: View, asked: Iterable[tuple[str, str]], *, most: int = MOST_ROWS) -> Selection:
    """Turn the names and values of an address into a query of a view or function.

    Raises:
        QueryError: a column, an operator or a value makes no sense, or a costly view has no selective filter.
    """
    options = {"_size": str(DEFAULT_SIZE)}
    arguments: dict[str, str] = {}
    filters = []
    for name, text in asked:
        if name.startswith("_"):
            _option(name)
            options[name] = text
        elif name in view.arguments:
            arguments[name] = text
        else:
            filters.append((*_split(view, name), text))
    _require_selective(view, filters)
    sort, descending = _order(view, options)
    selection = Selection(view, _columns(view, options), sort, descending, _size(options["_size"], most), view.name)
    if view.arguments:
        selection.source = _called(selection, arguments)
    for name, operator, text in filters:
        selection.filter_by(name, operator, text)
    if options.get("_next"):
        selection.begin_after(options["_next"])
    return selection


def _option(name: str) -> None:
    known = ["_columns", "_next", "_size", "_sort", "_sort_desc"]
    if name not in known:
        raise QueryError(f"There is no option '{name}': {suggestion(name, known)}")


def _split(view: View, name: str) -> tuple[str, str]:
    column, _, operator = name.partition("__")
    if column not in view.columns:
        raise QueryError(f"{view.name} has no column '{column[:80]}': {suggestion(column[:80], list(view.columns))}")
    known = [*OPERATORS, *WORDS]
    if (operator or "eq") not in known:
        raise QueryError(f"There is no operator '{operator[:80]}': {suggestion(operator[:80], known)}")
    return column, operator or "eq"


def _require_selective(view: View, filters: list[tuple[str, str, str]]) -> None:
    given = {name for name, operator, _ in filters if operator in ("eq", "in")}
    if view.needs and not given & set(view.needs):
        raise QueryError(
            f"{view.name} has millions of rows: filter it by {' or '.join(view.needs)} (a value, or a list with __in),"
            " or take the whole as a snapshot."
        )


def _order(view: View, options: dict[str, str]) -> tuple[list[str], bool]:
    asked = options.get("_sort_desc") or options.get("_sort")
    descending = "_sort_desc" in options and bool(asked)
    if asked is None and view.name in SORTED_BY:
        asked, descending = SORTED_BY[view.name], True
    if asked and (asked not in view.columns or view.columns[asked].kind in ORDER_ONLY):
        raise QueryError(
            f"{view.name} cannot be sorted by '{asked[:80]}': {suggestion(asked[:80], list(view.columns))}"
        )
    return [*([asked] if asked else []), *(name for name in view.key if name != asked)], descending


def _columns(view: View, options: dict[str, str]) -> list[str]:
    names = [name for name in options.get("_columns", "").split(",") if name] or list(view.columns)
    for name in names:
        if name not in view.columns:
            raise QueryError(f"{view.name} has no column '{name[:80]}': {suggestion(name[:80], list(view.columns))}")
    return list(dict.fromkeys(names))


def _size(text: str, most: int) -> int:
    size = int(value_of(Column("_size", "integer", "", "bigint"), text))
    if not 1 <= size <= most:
        raise QueryError(f"_size is {size}: give 1 to {most:,}; a snapshot holds everything.")
    return size


def _called(selection: Selection, arguments: dict[str, str]) -> str:
    view = selection.view
    for name in view.required:
        if name not in arguments:
            raise QueryError(f"{view.name} needs '{name}': add {name}=… to the address.")
    parts = []
    for name, column in view.arguments.items():
        if name in arguments:
            bound = _argument(selection, column, arguments[name])
            parts.append(bound if name in view.required else f"{name} := {bound}")
    return f"{view.name}({', '.join(parts)})"


def _argument(selection: Selection, column: Column, text: str) -> str:
    if column.kind == "list":
        return selection.bound_list(Column(column.name, "text", "", "text"), text.split(","))
    if column.name in ("n", "k") and not 1 <= value_of(column, text) <= MOST_ROWS:
        raise QueryError(f"{column.name} is {text[:20]}: give 1 to {MOST_ROWS:,}.")
    return selection.bound(column, text, column.sql_type)


def value_of(column: Column, text: str) -> Any:
    """A value of the column's kind from text.

    Raises:
        QueryError: it is none.
    """
    if "\0" in text or len(text) > LONGEST_VALUE:
        raise QueryError(f"The value of '{column.name}' is longer than {LONGEST_VALUE} characters, or holds a NUL.")
    try:
        return _CASTS[column.kind](text)
    except ValueError:
        raise QueryError(f"'{text[:40]}' is no {column.kind} value, which '{column.name}' holds.") from None


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63 or len(text) > 20:
        raise ValueError
    return number


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError
    return text.lower() in ("true", "1")


_CASTS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "text": str,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}


def _sql_type(column: Column) -> str:
    if column.kind == "number":
        return "real" if column.sql_type in ("real", "float") else "double precision"
    return {"integer": "bigint", "text": "text", "boolean": "boolean", "date": "date", "timestamp": "timestamptz"}[
        column.kind
    ]


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, (int, float, bool)) else literal(str(value))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value
