"""From the query of an address to SQL: every name is one of the catalog's, every value is cast before it gets there."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from pbdb.common.errors import QueryError, suggestion
from pbdb.common.rows import Row
from pbdb.common.sql_text import literal
from pbdb.serve.catalog import SORTED_BY, Column, View

OPERATORS = {"eq": "=", "ne": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
WORDS = ("in", "contains", "isnull")
OPTIONS = {
    "_columns": "Columns to give, with commas between them",
    "_sort": "Column to sort by",
    "_sort_desc": "Column to sort by, greatest first",
    "_size": "Rows at most: 100 unless said; up to 10,000 as json, 1,000,000 as a file",
    "_next": "Token of the answer before: begins after it",
}
MOST_VALUES, LONGEST_VALUE = 2000, 2000
DEFAULT_SIZE, MOST_ROWS, MOST_ROWS_OF_FILES = 100, 10_000, 1_000_000
NOT_COMPARED = ("list", "numbers", "json")
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass
class Selection:
    """A query of one view or function: what to show, in which order, from where; values by the name of a parameter."""

    view: View
    columns: list[str]
    sort: list[str]
    descending: bool
    size: int
    source: str
    where: list[str] = field(default_factory=list)
    given: dict[str, object] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    after: str | None = None

    @property
    def fields(self) -> list[str]:
        """Columns to ask for: those to show, then what only the order needs."""
        return [*self.columns, *(name for name in self.sort if name not in self.columns)]

    @property
    def sql(self) -> str:
        """The query: one row more than asked for, so that it is known whether there is a next page."""
        where = [*self.where, self.after] if self.after else self.where
        written = self._written(", ".join(self.fields), where, self.size + 1)
        return _PARAMETER.sub(lambda found: f"{found[0]}::{self.types[found[1]]}", written)

    def to_copy(self) -> str:
        """The query as a person would write it, values in place."""
        columns = "*" if self.columns == list(self.view.columns) else ", ".join(self.columns)
        written = self._written(columns, self.where, self.size)
        return _PARAMETER.sub(lambda found: _literal(self.given[found[1]]), written)

    def _written(self, columns: str, where: list[str], limit: int) -> str:
        # Keys of rows come last and the same way round, so that the order leaves nothing open.
        ways = [" DESC" if self.descending else "", *[""] * len(self.sort)]
        order = ", ".join(f"{name}{way} NULLS LAST" for name, way in zip(self.sort, ways, strict=False))
        filters = f"\nWHERE {' AND '.join(where)}" if where else ""
        return f"SELECT {columns}\nFROM {self.source}{filters}\nORDER BY {order}\nLIMIT {limit}"

    def bound(self, value: Any, sql_type: str) -> str:
        """Keep a value; return what stands for it in the query."""
        name = f"p{len(self.given)}"
        self.given[name], self.types[name] = value, sql_type
        return f"%({name})s"

    def bound_list(self, column: Column, texts: list[str]) -> str:
        """Keep a list of values; return what stands for it in the query."""
        if len(texts) > MOST_VALUES:
            raise QueryError(f"{len(texts)} values of '{column.name}' are too many: give at most {MOST_VALUES}.")
        return self.bound([value_of(column, text) for text in texts], f"{column.sql_type}[]")

    def filter_by(self, column: Column, operator: str, text: str) -> None:
        """Add a condition on a column."""
        name, kind = column.name, column.kind
        if operator == "isnull":
            is_null = value_of(Column(f"{name}__isnull", "boolean"), text)
            condition = f"{name} IS {'' if is_null else 'NOT '}NULL"
        elif operator == "contains" and kind == "list":
            condition = f"{self.bound(value_of(Column(name, 'text'), text), 'text')} = ANY({name})"
        elif operator == "contains" and kind == "text":
            condition = f"strpos(lower({name}), lower({self.bound(value_of(column, text), 'text')})) > 0"
        elif operator == "contains" or kind in NOT_COMPARED:
            raise QueryError(f"'{name}' holds {kind} values: __contains is for text and lists; these have __isnull.")
        elif operator == "in":
            condition = f"{name} = ANY({self.bound_list(column, text.split(','))})"
        else:
            condition = f"{name} {OPERATORS[operator]} {self.bound(value_of(column, text), column.sql_type)}"
        self.where.append(condition)

    @property
    def _order(self) -> str:
        return f"{self.view.name} {'-' if self.descending else ''}{','.join(self.sort)}"

    def next_token(self, row: Row) -> str:
        """Where the page after this row begins."""
        last = [row[name].isoformat() if isinstance(row[name], date) else row[name] for name in self.sort]
        return base64.urlsafe_b64encode(json.dumps([self._order, *last]).encode()).decode().rstrip("=")

    def begin_after(self, token: str) -> None:
        """Begin after the row whose token this is.

        Raises:
            QueryError: it is of another order of rows, or no token.
        """
        try:
            order, *values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (ValueError, TypeError, RecursionError):
            order, values = None, []
        if order != self._order or len(values) != len(self.sort):
            raise QueryError("_next does not belong to this question: take it from the answer before, all else equal.")
        alternatives: list[str] = []
        equal: list[str] = []
        for place, (name, value) in enumerate(zip(self.sort, values, strict=True)):
            if value is None:
                equal.append(f"{name} IS NULL")
                continue
            column = self.view.columns[name]
            bound = self.bound(value_of(column, str(value)), column.sql_type)
            sign = "<" if self.descending and place == 0 else ">"
            alternatives.append(" AND ".join([*equal, f"({name} {sign} {bound} OR {name} IS NULL)"]))
            equal.append(f"{name} = {bound}")
        self.after = "(" + " OR ".join(f"({one})" for one in alternatives or ["false"]) + ")"


def select(view: View, asked: Iterable[tuple[str, str]], most: int = MOST_ROWS) -> Selection:
    """Turn the names and values of an address into a query of a view or function.

    Raises:
        QueryError: a column, an operator or a value makes no sense, or a costly view has no selective filter.
    """
    asked = list(asked)
    options = {name: text for name, text in asked if name.startswith("_")}
    arguments = {name: text for name, text in asked if name in view.arguments}
    filters = [(*_split(view, name), text) for name, text in asked if name not in {*options, *arguments}]
    for name in options:
        if name not in OPTIONS:
            raise QueryError(f"There is no option '{name[:80]}': {suggestion(name[:80], list(OPTIONS))}")
    given = {column.name for column, operator, _ in filters if operator in ("eq", "in")}
    if view.needs and not given & set(view.needs):
        raise QueryError(
            f"{view.name} has millions of rows: filter it by {' or '.join(view.needs)} (a value, or a list with __in),"
            " or take the whole as a snapshot."
        )
    size = value_of(Column("_size", "bigint"), options.get("_size", str(DEFAULT_SIZE)))
    if not 1 <= size <= most:
        raise QueryError(f"_size is {size}: give 1 to {most:,}; a snapshot holds everything.")
    columns = [_known(view, name) for name in options.get("_columns", "").split(",") if name]
    selection = Selection(view, list(dict.fromkeys(columns)) or list(view.columns), *_order(view, options), size, "")
    selection.source = _source(selection, arguments)
    for column, operator, text in filters:
        selection.filter_by(column, operator, text)
    if options.get("_next"):
        selection.begin_after(options["_next"])
    return selection


def _known(view: View, name: str) -> str:
    if name not in view.columns:
        raise QueryError(f"{view.name} has no column '{name[:80]}': {suggestion(name[:80], list(view.columns))}")
    return name


def _split(view: View, name: str) -> tuple[Column, str]:
    column, _, operator = name.partition("__")
    known = [*OPERATORS, *WORDS]
    if (operator or "eq") not in known:
        raise QueryError(f"There is no operator '{operator[:80]}': {suggestion(operator[:80], known)}")
    return view.columns[_known(view, column)], operator or "eq"


def _order(view: View, options: dict[str, str]) -> tuple[list[str], bool]:
    """Columns to sort by, the view's key last, and whether the first of them goes down."""
    own = SORTED_BY.get(view.name) if "_sort" not in options else None
    down = options.get("_sort_desc") or own
    first = down or options.get("_sort")
    if first and (first not in view.columns or view.columns[first].kind in NOT_COMPARED):
        raise QueryError(
            f"{view.name} cannot be sorted by '{first[:80]}': {suggestion(first[:80], list(view.columns))}"
        )
    return [*([first] if first else []), *(name for name in view.key if name != first)], bool(down)


def _source(selection: Selection, arguments: dict[str, str]) -> str:
    """The view, or the call of the function."""
    view, parts = selection.view, []
    for name, column in view.arguments.items():
        if name in arguments:
            bound = _argument(selection, column, arguments[name])
            parts.append(bound if name in view.required else f"{name} := {bound}")
        elif name in view.required:
            raise QueryError(f"{view.name} needs '{name}': add {name}=… to the address.")
    return f"{view.name}({', '.join(parts)})" if view.arguments else view.name


def _argument(selection: Selection, column: Column, text: str) -> str:
    if column.kind == "list":
        return selection.bound_list(Column(column.name, "text"), text.split(","))
    value = value_of(column, text)
    if column.name in ("n", "k") and not 1 <= value <= MOST_ROWS:
        raise QueryError(f"{column.name} is {text[:20]}: give 1 to {MOST_ROWS:,}.")
    if column.name == "direction" and value not in ("up", "down"):
        raise QueryError(f"direction is '{text[:20]}': give up or down, or leave it out for both.")
    return selection.bound(value, column.sql_type)


def value_of(column: Column, text: str) -> Any:
    """A value of the column's kind from text.

    Raises:
        QueryError: it is none.
    """
    if "\0" in text or len(text) > LONGEST_VALUE:
        raise QueryError(f"The value of '{column.name}' is longer than {LONGEST_VALUE} characters, or holds a NUL.")
    try:
        if column.kind == "timestamp":
            return datetime.fromisoformat(text)
        value = pa.scalar(text).cast(pa.float64() if column.kind == "number" else column.arrow.type).as_py()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
    except (ValueError, pa.ArrowException):
        raise QueryError(f"'{text[:40]}' is no {column.kind} value, which '{column.name}' holds.") from None
    return value


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]"
    return str(value) if isinstance(value, (int, float)) else literal(str(value))
