"""The statements of `roles.sql` and `settings.sql` in a backup: those that pbdb writes, and no others.

A backup may come from anybody. Each statement has to be one of a few forms, whose names and values are quoted as the
server quotes them, so that nothing in it is read as another statement or as a command of psql.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from pbdb.common.errors import DataError

log = logging.getLogger(__name__)

_NAME = r'(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")'
_VALUE = r"(?:'(?:[^'\\]|'')*'|\s?E'(?:[^'\\]|''|\\\\)*')"
_ITEM = rf"(?:{_NAME}|{_VALUE})"
_SET = rf"SET (?P<setting>[A-Za-z_][\w.]*) TO {_ITEM}(?:, ?{_ITEM})*"
_CATALOG = r"FROM pg_catalog\.pg_roles WHERE rolname ="
_ATTRIBUTES = r"(?: (?:NO)?LOGIN| (?:NO)?INHERIT| CREATEDB| CREATEROLE| BYPASSRLS| CONNECTION LIMIT \d+)*"
_HERE = '(?P<here>:"DBNAME")'
ROLES = re.compile(
    rf"DO \$do\$ BEGIN IF NOT EXISTS \(SELECT {_CATALOG} {_VALUE}\) THEN CREATE ROLE {_NAME}{_ATTRIBUTES};"
    rf" IF NOT \(SELECT rolsuper {_CATALOG} CURRENT_USER\) THEN GRANT {_NAME} TO CURRENT_USER;"
    r" END IF; END IF; END \$do\$;\n"
    rf"|GRANT (?P<granted>{_NAME}) TO {_NAME}"
    r"(?: WITH ADMIN OPTION| WITH ADMIN \w+, INHERIT \w+, SET \w+)?;\n"
)
SETTINGS = re.compile(
    rf"ALTER DATABASE {_HERE} (?:{_SET}|OWNER TO {_NAME});\n"
    rf"|ALTER ROLE {_NAME}(?: IN DATABASE {_HERE.replace('here', 'there')})? {_SET.replace('setting', 'of_role')};\n"
    rf"|REVOKE ALL ON DATABASE {_HERE.replace('here', 'revoked')} FROM PUBLIC;\n"
    rf"|GRANT [A-Z]+ ON DATABASE {_HERE.replace('here', 'opened')} TO (?:{_NAME}|PUBLIC)(?: WITH GRANT OPTION)?;\n"
)
# Membership in these, and settings that name files, would let others than administrators run programs of the server.
SERVERS_FILES = {"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"}
CODE = re.compile(r"librar|_command$|jit_provider")


def statements(text: str, form: re.Pattern[str], member: str, database: str) -> Iterator[str]:
    """The statements of a member of a backup, with the quoted name of the database in them.

    Those that would let readers run programs of the server are left out, with a warning.

    Raises:
        DataError: something stands there that pbdb does not write.
    """
    place = 0
    while place < len(text):
        statement = form.match(text, place)
        if statement is None or statement[0].count("$do$") not in (0, 2):
            line = text.count("\n", 0, place) + 1
            raise DataError(
                f"Line {line} of '{member}' in the backup is no statement that pbdb writes: this backup was made or"
                " changed by somebody else, so it is not restored."
            )
        place = statement.end()
        if _is_dangerous(statement.groupdict()):
            log.warning("Left out of the backup, for it lets its role run programs: %s", statement[0].strip())
        else:
            yield _of_database(statement, database)


def _is_dangerous(parts: dict[str, str | None]) -> bool:
    setting = parts.get("setting") or parts.get("of_role") or ""
    return parts.get("granted") in SERVERS_FILES or CODE.search(setting.lower()) is not None


def _of_database(statement: re.Match[str], database: str) -> str:
    for part in ("here", "there", "revoked", "opened"):
        if statement.groupdict().get(part):
            start, end = (at - statement.start() for at in statement.span(part))
            return statement[0][:start] + database + statement[0][end:]
    return statement[0]
