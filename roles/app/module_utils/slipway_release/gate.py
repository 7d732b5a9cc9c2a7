"""The gate in front of a migration: what it takes from the release that serves needs somebody's yes.

check_app, in the release's own environment, writes down what Alembic would run. The control node, which has
PostgreSQL's parser, judges that: this process waits for its verdict, and migrates nothing where none comes.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import check_app, history
from .host import Failure, write
from .release import Release, decode_environment

if TYPE_CHECKING:
    from .engine import Operation

# For how long the control node, which follows this process, may be silent.
_VERDICT_SECONDS = 60
_DATABASE_NAME = re.compile(r"^PG(HOST|DATABASE|SERVICE)$|(^|_)(DB|DATABASE|SQL)(_|$)")
_DATABASE_URL = re.compile(r"^(postgres(ql)?|mysql|mariadb|mssql|oracle|sqlite|cockroachdb)(\+\w+)?:", re.I)
_FILE = re.compile(r"[\w./-]+\.(?:py|sh|sql|js|rb|pl|toml|ini|cfg)\b")
_DIRECTORIES = {"migrations", "migration", "alembic", "versions"}
_COMMAND_LINE = re.compile(r"\bcli\.command\b|\bimport click\b|\bfrom click\b|\bAppGroup\b")


def approved(operation: Operation, known: dict) -> dict:
    """Return what the history keeps of the migration that is about to run; nothing where there is none.

    ``known`` is what check_app tells of Alembic. Raises Failure where a step takes something from the release that
    serves, locks what it uses, or cannot be read, and nobody said yes; and where the control node gives no verdict.
    """
    if all(part["kind"] == "harmless" for part in read_parts(operation)):
        return {}
    changed = [each for each in known.get("databases", []) if each.get("changes") and not is_empty(each)]
    of_alembic = [*unread(operation, known), *lost(changed), *(ask(operation, changed) if changed else [])]
    others = other_commands(operation, known)
    # The yes names what it is said to, so that it is not given for something else by habit.
    head = (known.get("heads") or ["unknown"])[-1] if of_alembic else ""
    token = "-".join(filter(None, [head, fingerprint(operation) if others else ""]))
    steps = [*of_alembic, *others]
    if steps and operation.request["migration_approved"] not in (token, "yes"):
        listed = "".join(f"\n    - {step}" for step in steps)
        raise Failure(
            "migrate",
            "the pending migration takes something from the release that serves, locks a table that it uses, or cannot"
            f" be read:{listed}\n  Make it two deploys (first add, later take away), or say yes to it:"
            f" -e app_migration_approved={token}",
        )
    heads = {"schema": known["heads"]} if known.get("pending") and known.get("current") else {}
    return heads | ({"contracting": steps} if steps else {})


def lost(databases: list[dict]) -> list[str]:
    """Return in words which databases have tables, but nothing that says where their schema is."""
    return [
        f"runs all migrations from the first one on: the database{' ' + each['name'] if each['name'] else ''} is not"
        f" empty, but its table {each['version_table']} names no revision"
        for each in databases
        if not each["current"] and each["pending"] and each["path"]
    ]


def is_empty(database: dict) -> bool:
    """Say whether a database has nothing in it but, perhaps, an empty version table of Alembic's."""
    tables = {name for _schema, name, kind in database["relations"] if kind in ("table", "relation")}
    return bool(database["path"]) and not database["current"] and tables <= {database["version_table"]}


def read_parts(operation: Operation) -> list[dict]:
    """Return the commands of the release command; see check_app.parts."""
    return check_app.parts(operation.release.manifest["migrate"])


# What cannot be read
def unread(operation: Operation, known: dict) -> list[str]:
    """Return in words what of Alembic's migrations cannot be read beforehand, where that may change what is in use."""
    why = [known.get("error"), *(each["error"] for each in known.get("databases", []) if not is_empty(each))]
    if not operation.made.get("imports", True) and why[0]:
        why[0] = f"the app cannot be loaded before its migration ({operation.made.get('error')}); {why[0]}"
    problems = [f"cannot be read: {each}" for each in why if each and not known.get("implied")]
    return problems if problems and in_use(operation, known, problems) else []


def in_use(operation: Operation, known: dict, problems: list[str]) -> bool:
    """Say whether there may be something in the database that what cannot be read could change."""
    if not has_database(operation, known):
        return False
    served = bool(operation.old or history.went_live(operation.lines))
    if operation.made.get("empty") and not any(each["current"] for each in known.get("databases", [])):
        return False
    if operation.made.get("empty") is None and not served:
        operation.warn(f"migration: {'; '.join(problems)}; nothing was live here before, so that it goes on")
        return False
    return True


def other_commands(operation: Operation, known: dict) -> list[str]:
    """Return in words that a command which is not Alembic's is not what the live release ran; a warning where it is."""
    commands = [part for part in read_parts(operation) if part["kind"] == "unread"]
    shown = "; ".join(" ".join(part["words"]) for part in commands)
    problem = f"runs `{shown}`, which is not Alembic's and cannot be read, and it is not what the live release ran"
    if not commands or not in_use(operation, known, [problem]):
        return []
    if operation.old and fingerprint(operation) == fingerprint(operation, operation.old):
        operation.warn(
            f"migration: what `{shown}` does to the database cannot be read beforehand; it is what the live release ran"
        )
        return []
    return [problem]


def has_database(operation: Operation, known: dict) -> bool:
    """Say whether anything tells of a database."""
    if operation.request.get("database_url") or known.get("databases") or operation.made.get("database"):
        return True
    try:
        settings = decode_environment((operation.release.directory / "env").read_text())
    except OSError:
        return True
    return any(_DATABASE_NAME.search(name) or _DATABASE_URL.match(value) for name, value in settings.items())


def fingerprint(operation: Operation, of: Release | None = None) -> str:
    """Return a digest, 12 hex digits, of what cannot be read of a release's command and of the files it names; or "".

    Where Alembic does not tell of them, files of migrations belong to it too.
    """
    release = of or operation.release
    commands = [part for part in check_app.parts(release.manifest.get("migrate", "")) if part["kind"] == "unread"]
    if not commands:
        return ""
    total = hashlib.sha256(json.dumps(commands).encode())
    known = operation.made.get("migrations") or {}
    databases = known.get("databases") or []
    all_files = not databases or bool(known.get("error")) or any(each["error"] for each in databases)
    top = release.directory / "src"
    for file in sorted(files(top, commands, release.manifest.get("roots", ["."]), all_files)):
        total.update(f"\0{file.relative_to(top)}\0".encode() + file.read_bytes())
    return total.hexdigest()[:12]


def files(top: Path, commands: list[dict], roots: list[str], migrations: bool) -> set[Path]:
    """Return the app's files that commands name, directly or in one another, and those in which they may be defined."""
    todo = [word for part in commands for word in part["words"]]
    todo += [f"{word.replace('.', '/')}{end}" for word in todo for end in (".py", "/__main__.py") if "/" not in word]
    found: set[Path] = set()
    while todo:
        word = todo.pop()
        for file in {(top / root / word) for root in (".", *roots)}:
            if file in found or not ours(file, top):
                continue
            found.add(file)
            todo += _FILE.findall(file.read_text(errors="replace"))
    flask = any("flask" in part["words"] for part in commands)
    for file in top.rglob("*"):
        if not ours(file, top):
            continue
        is_migration = _DIRECTORIES & set(file.relative_to(top).parts[:-1]) or file.suffix == ".sql"
        defines = flask and file.suffix == ".py" and _COMMAND_LINE.search(file.read_text(errors="replace"))
        if (migrations and is_migration and file.suffix != ".pyc") or defines:
            found.add(file)
    return {file.resolve() if file.is_symlink() else file for file in found}


def ours(file: Path, top: Path) -> bool:
    """Say whether it is a file of the app's, and no link to elsewhere."""
    try:
        return file.is_file() and file.resolve().is_relative_to(top.resolve())
    except OSError:
        return False


# The control node's verdict
def ask(operation: Operation, databases: list[dict]) -> list[str]:
    """Return what the control node finds in the SQL of databases. Raises Failure where it gives no verdict."""
    question, verdict = operation.run_directory / "gate.json", operation.run_directory / "verdict.json"
    verdict.unlink(missing_ok=True)
    write(question, json.dumps({"databases": databases}), 0o600)
    operation.tell(status="gate", step="migrate")
    deadline = time.monotonic() + _VERDICT_SECONDS
    try:
        while time.monotonic() < deadline:
            if verdict.exists():
                operation.tell(status="running")
                return list(json.loads(verdict.read_text())["steps"])
            time.sleep(0.05)
    finally:
        question.unlink(missing_ok=True)
        verdict.unlink(missing_ok=True)
    raise Failure(
        "migrate",
        f"nobody read the pending migration within {_VERDICT_SECONDS} s, so that it did not run; was ansible-playbook"
        " killed?",
    )
