"""Reading the SQL of a migration: which steps only add, and which take away or lock a table that is in use.

What locks and for how long follows https://www.postgresql.org/docs/current/sql-altertable.html, section Notes, and
https://www.postgresql.org/docs/current/explicit-locking.html, table of lock modes.
"""

from __future__ import annotations

import re

_NAME = r'(?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))*'
_ALTER = rf"ALTER TABLE\s+(?:IF EXISTS\s+)?(?:ONLY\s+)?(?P<table>{_NAME})"
_COLUMN = rf"(?:IF (?:NOT )?EXISTS\s+)?(?P<what>{_NAME})"
_CONTRACTING = (
    (rf"DROP TABLE\s+(?:IF EXISTS\s+)?(?P<table>{_NAME})", "drops the table {table}"),
    (rf"{_ALTER}.*?\bDROP COLUMN\s+{_COLUMN}", "drops the column {table}.{what}"),
    (rf"{_ALTER}\s+RENAME\s+(?:COLUMN\s+)?(?!TO\b)(?P<what>{_NAME})\s+TO", "renames {table}.{what}"),
    (rf"{_ALTER}\s+RENAME TO", "renames the table {table}"),
    (
        rf"{_ALTER}.*?\bALTER (?:COLUMN\s+)?(?P<what>{_NAME})\s+(?:SET DATA\s+)?TYPE",
        "changes the type of {table}.{what}, which may rewrite the table under a lock",
    ),
    (
        rf"{_ALTER}.*?\bALTER (?:COLUMN\s+)?(?P<what>{_NAME})\s+SET NOT NULL",
        "forbids NULL in {table}.{what}, which the old release may still write, and reads the table under a lock",
    ),
    (rf"TRUNCATE\s+(?:TABLE\s+)?(?P<table>{_NAME})", "empties the table {table}"),
    (rf"DELETE FROM\s+(?P<table>{_NAME})", "deletes rows of {table}"),
    (
        rf"DROP (?:TYPE|SCHEMA|VIEW|MATERIALIZED VIEW|SEQUENCE|FUNCTION)\s+(?:IF EXISTS\s+)?(?P<table>{_NAME})",
        "drops {table}",
    ),
)
_LOCKING = (
    (
        rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)(?:IF NOT EXISTS\s+)?(?:{_NAME}\s+)?"
        rf"ON\s+(?:ONLY\s+)?(?P<table>{_NAME})",
        "makes an index on {table} without CONCURRENTLY: nobody can write to the table meanwhile",
    ),
    (rf"REINDEX\s+(?!.*CONCURRENTLY)\w+\s+(?P<table>{_NAME})", "rebuilds an index of {table} under a lock"),
    (rf"(?:CLUSTER|VACUUM FULL)\s+(?P<table>{_NAME})", "rewrites the table {table} under a lock"),
    (rf"LOCK\s+(?:TABLE\s+)?(?P<table>{_NAME})", "locks the table {table}"),
)
_ADD_COLUMN = re.compile(rf"{_ALTER}.*?\bADD (?:COLUMN\s+)?{_COLUMN}\s+(?P<rest>.*)", re.I | re.S)
_CONSTRAINT = re.compile(
    rf"{_ALTER}.*?\bADD\s+(?:CONSTRAINT\s+{_NAME}\s+)?"
    r"(?P<kind>PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY|EXCLUDE)\b(?P<rest>.*)",
    re.I | re.S,
)
_STATEMENT = re.compile(r"(?:'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|[^;'$]|\$)+", re.S)
_CREATES = re.compile(rf"CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF NOT EXISTS\s+)?(?P<table>{_NAME})", re.I)


def statements(sql: str) -> list[str]:
    """Split a script into statements, without comments; a semicolon inside quotes or $$ ends none."""
    sql = re.sub(r"('(?:[^']|'')*')|--[^\n]*", r"\1", sql)
    parts = (found.group(0) for found in _STATEMENT.finditer(sql))
    return [" ".join(part.split()) for part in parts if part.strip()]


def unsafe_steps(sql: str) -> list[str]:
    """Return in words the steps that take something away from the old release, or lock a table that is in use.

    Tables that the same script makes are nobody's yet: what is done to them counts for nothing.
    """
    found: list[str] = []
    new: set[str] = set()
    for statement in statements(sql):
        made = _CREATES.match(statement)
        if made:
            new.add(_plain(made["table"]))
            continue
        for step, table in _judge(statement):
            if _plain(table) not in new and _plain(table) != "alembic_version" and step not in found:
                found.append(step)
    return found


def _judge(statement: str) -> list[tuple[str, str]]:
    """Return the unsafe steps of a statement, each with its table."""
    steps = []
    for pattern, words in (*_CONTRACTING, *_LOCKING):
        match = re.match(pattern, statement, re.I | re.S)
        if match:
            parts = {key: _plain(value) for key, value in match.groupdict().items() if value}
            steps.append((words.format(**parts), match["table"]))
    constraint = _CONSTRAINT.match(statement)
    if constraint:
        if not re.search(r"\bNOT VALID\b|\bUSING INDEX\b", constraint["rest"], re.I):
            kind, table = constraint["kind"].upper(), constraint["table"]
            steps.append((f"adds a constraint ({kind}) to {_plain(table)}, which reads the table under a lock", table))
        return steps
    column = _ADD_COLUMN.match(statement)
    if column:
        rest, where = column["rest"], f"{_plain(column['table'])}.{_plain(column['what'])}"
        if re.search(r"\bNOT NULL\b", rest, re.I) and not re.search(r"\bDEFAULT\b|\bGENERATED\b|SERIAL\b", rest, re.I):
            steps.append(
                (f"adds {where} as NOT NULL without a default, which the old release cannot write", column["table"])
            )
        if re.search(r"\bDEFAULT\s+(?!now\(\)|current_)\w+\(|\bGENERATED ALWAYS AS\b|SERIAL\b", rest, re.I):
            steps.append(
                (f"adds {where} with a computed value, which rewrites the table under a lock", column["table"])
            )
    return steps


def _plain(name: str) -> str:
    """Return a table's name without quotes and without its schema."""
    return name.replace('"', "").rpartition(".")[2].lower()
