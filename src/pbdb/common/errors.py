"""Every error a user can cause, as one tree.

    PbdbError
    ├── ConfigError            a setting or an argument makes no sense
    ├── ServerError            the PostgreSQL server cannot be used
    ├── SchemaError            the database's schema is not what this version needs
    ├── SourceError            a source, or one of its files, is not what its declaration says
    ├── DataError              values that cannot be right
    │   └── InvalidDataError        several violations at once, each with a rule and examples
    ├── VocabularyError        a gene, cell line or compound vocabulary is missing or malformed
    ├── DesignError            an experiment no effect can be estimated from
    ├── QueryError             a query that is not allowed, or that the server refused
    ├── SnapshotError          a snapshot that cannot be written, or is not what its manifest says
    ├── DiskError              a file of pbdb's own cannot be written or read: the disk is full, or forbids it
    └── WorkerError            processes that share the work die before it is done

The facts of its sentence are attributes too: `file`, `line`, `column`, `value`, `dataset`, None where it names none.
A message is one sentence or two: what is wrong, where, and what to do. The command line prints it and ends
with exit code 1, with --debug the traceback too; anything that is not a PbdbError is a bug and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

MOST_LISTED = 24


def suggestion(name: str, known: Sequence[str]) -> str:
    """End a sentence about a name that is not known: with the one that was meant, or all there are."""
    lower = {known_name.lower(): known_name for known_name in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    if near:
        return f"did you mean '{lower[near[0]]}'?"
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return f"known are {', '.join(known[:MOST_LISTED])}{more}." if known else "none is known."


def first_line(problem: BaseException) -> str:
    """Say in one line what an error of another library says, without its full stop."""
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")


class PbdbError(Exception):
    """Base of all errors that a user can mend; its attributes are what the sentence names.

    file: name or path, as the sentence has it; line: from 1; column: of a table; value: what was given or read;
    dataset: short name.
    """

    def __init__(
        self,
        message: str = "",
        *,
        file: str | None = None,
        line: int | None = None,
        column: str | None = None,
        value: object = None,
        dataset: str | None = None,
    ):
        super().__init__(message)
        self.file, self.line, self.column, self.value, self.dataset = file, line, column, value, dataset


class ConfigError(PbdbError):
    """A setting or an argument makes no sense."""


class ServerError(PbdbError):
    """The PostgreSQL server cannot be used."""


class SchemaError(PbdbError):
    """The schema of the database is not what this version needs."""


class SourceError(PbdbError):
    """A source, or one of its files, is not what its declaration says."""


class DataError(PbdbError):
    """Values that cannot be right."""


class VocabularyError(PbdbError):
    """A vocabulary is missing or malformed."""


class DesignError(PbdbError):
    """An experiment no effect can be estimated from."""


class QueryError(PbdbError):
    """A query that is not allowed, or that the server refused."""


class SnapshotError(PbdbError):
    """A snapshot that cannot be written, or is not what its manifest says."""


class DiskError(PbdbError):
    """A file of pbdb's own cannot be written or read."""


class WorkerError(PbdbError):
    """Processes that share the work die before it is done."""


@dataclass(frozen=True)
class Violation:
    """One broken rule: where, which rule, how many rows, and up to three examples."""

    where: str
    rule: str
    n_rows: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" (for example {', '.join(self.examples)})" if self.examples else ""
        return f"{self.where}: {self.rule}, {self.n_rows} rows{shown}"


class InvalidDataError(DataError):
    """Several violations at once; `violations` holds them all."""

    def __init__(self, what: str, violations: Sequence[Violation]):
        super().__init__(f"{what} cannot be loaded: " + "; ".join(map(str, violations)) + ".")
        self.what, self.violations = what, tuple(violations)

    def __reduce__(self) -> tuple[type[InvalidDataError], tuple[str, tuple[Violation, ...]]]:
        """Come back whole from another process; the message is made anew."""
        return InvalidDataError, (self.what, self.violations)
