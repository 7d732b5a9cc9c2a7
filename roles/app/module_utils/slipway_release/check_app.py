"""Load a release's app in its own environment and tell, as JSON, what it really came to. Judges nothing itself.

A copy of this file is in each release and runs with the release's Python, as the app's user. What it prints goes to
a file that only root reads; no secret is in it, only whether it is the expected one.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

# How long gunicorn may take to read its configuration, in seconds, behind whatever shell.
_CONFIGURATION_SECONDS = 20


class Configuration:
    """What gunicorn would run with: asked of the release's own web line, while the app is loaded."""

    def __init__(self, launcher: Path) -> None:
        self.process: subprocess.Popen | None = None
        if not launcher.exists():
            return
        self.pipe, said = os.pipe()
        # Of the app's own environment, less what would make it serve.
        environment = {name: value for name, value in os.environ.items() if name not in ("LISTEN_FDS", "NOTIFY_SOCKET")}
        self.process = subprocess.Popen(
            [str(launcher)],
            env=environment | {"SLIPWAY_SHOW": str(said)},
            pass_fds=[said],
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
        )
        os.close(said)

    def read(self) -> dict | None:
        """Return it, or None where the line does not come to gunicorn in time."""
        if self.process is None:
            return None
        try:
            self.process.wait(_CONFIGURATION_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.set_blocking(self.pipe, False)
        try:
            return json.loads(os.read(self.pipe, 65536))
        except (OSError, ValueError):
            return None
        finally:
            os.close(self.pipe)


def opened() -> dict[str, str]:
    """Return the connections that are open: the descriptor's target, and to where."""
    found = {}
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError, ValueError):
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            if not target.startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(descriptor))) as connection:
                found[target] = _shown(connection.getpeername())
    return found


def _shown(address: object) -> str:
    """Return where a connection goes to, as people write it."""
    if isinstance(address, tuple):
        return f"{address[0]}, port {address[1]}"
    return (address.decode() if isinstance(address, bytes) else str(address)) or "a process of its own"


def at_fork(before: dict[str, str]) -> dict:
    """Tell what the app has opened while it was loaded, which workers that are forked afterwards would share."""
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    count = len(os.listdir("/proc/self/task")) - 1
    monkey = sys.modules.get("gevent.monkey")
    return {
        "connections": sorted(where for target, where in opened().items() if target not in before),
        "threads": names or (["of a library"] * count),
        "patched": monkey is not None and monkey.is_module_patched("socket"),
    }


def load(target: str, loaded: list[str]) -> object:
    """Return the WSGI application; ``loaded`` gets the names of the configuration objects that it reads."""
    try:
        from flask import Config
    except ImportError:
        pass
    else:
        original = Config.from_object

        def from_object(self: object, thing: object) -> None:
            known = thing if isinstance(thing, (str, type)) else type(thing)
            loaded.append(known if isinstance(known, str) else f"{known.__module__}.{known.__qualname__}")
            original(self, thing)

        Config.from_object = from_object
    from gunicorn.util import import_app

    return import_app(target)


def key(app: object) -> dict:
    """Tell of the secret key whether there is one, and whether it is the one of the settings."""
    value = app.secret_key
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return {"set": bool(text), "length": len(text), "expected": text == os.environ.get("SECRET_KEY")}


def proxies(app: object) -> dict | None:
    """Tell how many proxies the app believes, or None where it believes none."""
    layer, seen = app.wsgi_app, 0
    while layer is not None and seen < 20:
        if type(layer).__name__ == "ProxyFix":
            return {name: getattr(layer, name, 0) for name in ("x_for", "x_proto", "x_host", "x_port", "x_prefix")}
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
        seen += 1
    return None


def place(url: object) -> dict:
    """Return what of a database's URL says which one it is: never its password."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    hosts = parsed.query.get("host", parsed.host or "")
    local = not hosts or str(hosts).startswith("/")
    return {
        "kind": parsed.get_backend_name(),
        "host": "" if local else str(hosts),
        "port": "" if local else str(parsed.port or ""),
        "name": parsed.database or "",
        "user": parsed.username or "",
    }


def database(app: object) -> dict | None:
    """Tell which database SQLAlchemy uses and which one was configured; None for an app without SQLAlchemy."""
    extension = getattr(app, "extensions", {}).get("sqlalchemy")
    if extension is None:
        return None
    found: dict = {"configured": None, "used": None, "statement_timeout": None, "error": ""}
    try:
        if os.environ.get("DATABASE_URL"):
            found["configured"] = place(os.environ["DATABASE_URL"].replace("postgres://", "postgresql://", 1))
        with app.app_context():
            engine = getattr(extension, "engine", None) or extension.db.engine
            found["used"] = place(engine.url)
            with engine.connect() as connection:
                if found["used"]["kind"] == "postgresql":
                    shown = connection.exec_driver_sql(
                        "SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'"
                    )
                    found["statement_timeout"] = int(shown.scalar()) / 1000
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return found


# Commands that touch no database; a release command may ask and wait by them.
_HARMLESS = {"test", "[", "true", "false", ":", "echo", "printf", "sleep", "exit"}
_READS = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*(SELECT|SHOW|SET|VALUES|PRAGMA|BEGIN|ROLLBACK|COMMIT|SAVEPOINT|RELEASE)\b", re.I
)
_CATALOGUE = """
SELECT n.nspname, c.relname, CASE WHEN c.relkind IN ('r', 'p') THEN 'table' ELSE 'relation' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION SELECT n.nspname, p.proname, 'function' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION SELECT n.nspname, t.typname, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('d', 'e', 'r') AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
"""
# Columns of unique indexes: by their values a statement means only so many rows.
_KEYS = """
SELECT n.nspname, c.relname || '.' || a.attname, 'key' FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
WHERE i.indisunique AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
"""


class AsksTheDatabase(Exception):
    """A migration wants an answer of the database, so that what it would run is not known before it runs."""


def parts(command: str) -> list[dict]:
    """Return the commands that a release command consists of: ``kind`` (alembic, flask, harmless, unread), ``words``.

    What a shell would expand, pipe or put into other variables makes a part, or all of it, unread.
    """
    lexer = shlex.shlex(command.replace("\n", " ; "), posix=True, punctuation_chars="();<>|&")
    lexer.commenters = ""
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:
        return [{"kind": "unread", "words": [command]}]
    if any(set(token) <= set("();<>|&") and token not in (";", "&&", "||") for token in tokens if token):
        return [{"kind": "unread", "words": tokens}]
    found, words = [], []
    for token in [*tokens, ";"]:
        if token not in (";", "&&", "||"):
            words.append(token)
        elif words:
            found.append({"kind": _kind(words), "words": words})
            words = []
    return found


def _kind(words: list[str]) -> str:
    """Say what kind of a command its words are; see parts()."""
    if any("`" in word or "$(" in word for word in words):
        return "unread"
    if words[0] in _HARMLESS:
        return "harmless"
    if any("$" in word or word.startswith("#") for word in words):
        return "unread"
    program, rest = _program(words)
    if program == "flask" and _after_app(rest)[:2] == ["db", "upgrade"]:
        return "flask"
    verbs = [word for word in rest if word in ("upgrade", "downgrade", "stamp", "revision", "merge", "edit", "init")]
    if program == "alembic" and verbs == ["upgrade"]:
        return "alembic"
    return "unread"


def _program(words: list[str]) -> tuple[str, list[str]]:
    """Return which program of Python's it is, "" for another one, and its arguments."""
    words = words[1:] if words[0] == "exec" else words
    if words[:1] and re.fullmatch(r"python[0-9.]*", words[0]) and words[1:2] == ["-m"] and words[2:]:
        return words[2], words[3:]
    return (words[0], words[1:]) if words and words[0] in ("flask", "alembic") else ("", [])


def _after_app(words: list[str]) -> list[str]:
    """Return flask's words without the app's name, where that is the one that is deployed."""
    if words[:1] in (["--app"], ["-A"]):
        words = [f"--app={words[1]}" if words[1:] else "", *words[2:]]
    if not words or not words[0].startswith("--app="):
        return words
    target = os.environ.get("SLIPWAY_WSGI") or os.environ.get("FLASK_APP", "")
    asked = words[0].partition("=")[2].removesuffix(".py")
    return words[1:] if asked and asked in (target, target.partition(":")[0]) else []


def catalogue(connection: object) -> dict:
    """Return what a database has: ``relations`` as [schema, name, kind], ``path`` (schemas), ``user``; see the gate."""
    if connection.dialect.name != "postgresql":
        from sqlalchemy import inspect

        there = [["", name, "table"] for name in inspect(connection).get_table_names()]
        return {"relations": there, "path": [""], "user": ""}
    relations = [list(row) for query in (_CATALOGUE, _KEYS) for row in connection.exec_driver_sql(query)]
    path, user = connection.exec_driver_sql("SELECT current_schemas(false)::text[], current_user::text").one()
    return {"relations": relations, "path": list(path), "user": user}


def empty() -> bool | None:
    """Say whether the database of DATABASE_URL has nothing in it; None where nobody can tell."""
    url = os.environ.get("SQLALCHEMY_DATABASE_URI") or os.environ.get("DATABASE_URL", "")
    try:
        from sqlalchemy import create_engine

        with create_engine(url.replace("postgres://", "postgresql://", 1)).connect() as connection:
            return not catalogue(connection)["relations"]
    except Exception:
        pass
    for driver in ("psycopg", "psycopg2"):
        try:
            module = importlib.import_module(driver)
            with module.connect(os.environ["DATABASE_URL"]) as connection:
                cursor = connection.cursor()
                cursor.execute(_CATALOGUE)
                return cursor.fetchone() is None
        except Exception:
            continue
    return None


class Reading:
    """What Alembic would run, written down while it believes to run it: see read_alembic()."""

    def __init__(self, run_env: Callable) -> None:
        self.original_run_env = run_env
        self.databases: list[dict] = []
        self.heads: list[str] = []
        self.outside: list[str] = []
        self.inside = ""
        self.error = ""

    def guard(self, _connection: object, _cursor: object, text: str, values: object, *_more: object) -> tuple:
        """Let SQLAlchemy only read: what env.py itself would change is written down; a migration may not even ask."""
        if self.inside:
            raise AsksTheDatabase(f"revision {self.inside} asks the database itself")
        if _READS.match(text):
            return text, values
        self.outside.append(text)
        return "SELECT 1", ()

    def run_env(self, scripts: object) -> None:
        """Stand before ScriptDirectory.run_env: from here on it is known where the release wants the schema."""
        self.heads = sorted({*self.heads, *scripts.get_heads()})
        self.original_run_env(scripts)

    def run_migrations(self, context: object, **arguments: object) -> None:
        """Stand in for MigrationContext.run_migrations: the same steps, as text."""
        entry: dict = {"name": str(arguments.get("engine_name") or ""), "current": [], "pending": [], "sql": ""}
        entry |= {"error": "", "relations": [], "path": [], "user": "", "version_table": context.version_table}
        entry["dialect"] = context.dialect.name
        self.databases.append(entry)
        if context.as_sql:
            return
        buffer = io.StringIO()
        try:
            entry["current"] = sorted(context.get_current_heads())
            entry |= catalogue(context.connection)
            steps = list(context.opts["fn"](tuple(entry["current"]), context))
            entry["pending"] = [step.revision.revision for step in steps]
            self.write(context, steps, arguments, buffer)
        except (Exception, SystemExit) as error:
            where = f"revision {self.inside}: " if self.inside and not isinstance(error, AsksTheDatabase) else ""
            entry["error"] = where + brief(error)
        finally:
            self.inside = ""
        entry["sql"] = buffer.getvalue()

    def write(self, context: object, steps: list, arguments: dict, buffer: io.StringIO) -> None:
        """Write the steps as SQL, by a context that has no database. Raises whatever a migration raises."""
        from alembic.operations import Operations
        from alembic.runtime.migration import MigrationContext

        opts = {**context.opts, "as_sql": True, "output_buffer": buffer, "literal_binds": True}
        dialect = type(context.dialect)(paramstyle="named")
        to = MigrationContext.configure(dialect=dialect, environment_context=context.environment_context, opts=opts)
        original = to.connection.execute

        def execute(statement: object, *values: object, **more: object) -> object:
            if _READS.match(str(statement)):
                raise AsksTheDatabase(f"revision {self.inside} asks the database itself")
            return original(statement, *values, **more)

        to.connection.execute = execute
        try:
            with Operations.context(to):
                for step in steps:
                    self.inside = step.revision.revision
                    to.impl.static_output(f"-- revision {self.inside}")
                    step.migration_fn(**arguments)
        finally:
            # The names in alembic.op are env.py's again, which takes them away itself.
            Operations(context)._install_proxy()


def read_alembic(app: object | None, asked: list[dict]) -> Reading:
    """Let the release command's own Alembic run env.py, by its own configuration, and write down what it would run.

    Nothing is changed: what runs the steps is replaced, and SQLAlchemy lets nothing through but questions.
    """
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    original, reading = MigrationContext.run_migrations, Reading(ScriptDirectory.run_env)
    MigrationContext.run_migrations = lambda context, **arguments: reading.run_migrations(context, **arguments)
    ScriptDirectory.run_env = lambda scripts: reading.run_env(scripts)
    event.listen(Engine, "before_cursor_execute", reading.guard, retval=True)
    output = io.StringIO()
    try:
        for part in asked:
            _program_name, rest = _program(part["words"])
            with contextlib.redirect_stdout(output):
                if part["kind"] == "flask":
                    upgrade_by_flask(app, _after_app(rest)[1:])
                else:
                    from alembic.config import main as alembic

                    alembic(argv=rest, prog="alembic")
    except (Exception, SystemExit) as error:
        said = output.getvalue().strip().splitlines()[-1:]
        reading.error = f"{' '.join(part['words'])} ended: {said[0] if said else brief(error)}"
        traceback.print_exc()
    finally:
        MigrationContext.run_migrations, ScriptDirectory.run_env = original, reading.original_run_env
        event.remove(Engine, "before_cursor_execute", reading.guard)
    return reading


def upgrade_by_flask(app: object, words: list[str]) -> None:
    """Call Flask-Migrate's own command. Raises LookupError where the app does not use it."""
    if app is None or "migrate" not in getattr(app, "extensions", {}):
        raise LookupError("the app does not use Flask-Migrate, so that `flask db` is something else")
    from flask.cli import ScriptInfo
    from flask_migrate.cli import db

    with app.app_context():
        db.main(args=words, prog_name="flask db", standalone_mode=False, obj=ScriptInfo(create_app=lambda: app))


def brief(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def migrations(app: object | None, command: str) -> dict | None:
    """Tell of each database where it is, where the release wants it, and the SQL between; None without Alembic.

    A release command that is something else is no reason not to read what Alembic has: it may call that.
    """
    asked = [part for part in parts(command) if part["kind"] in ("flask", "alembic")]
    implied = not asked
    if implied:
        if app is not None and "migrate" in getattr(app, "extensions", {}):
            asked = [{"kind": "flask", "words": ["flask", "db", "upgrade", "heads"]}]
        elif os.path.exists("alembic.ini"):
            asked = [{"kind": "alembic", "words": ["alembic", "upgrade", "heads"]}]
        else:
            return None
    found: dict = {"heads": [], "current": [], "pending": [], "databases": [], "error": "", "implied": implied}
    reading = read_alembic(app, asked)
    found["error"] = reading.error
    if not reading.databases and not reading.error:
        found["error"] = f"`{command}` did not come to its migrations"
    for database in reading.databases:
        # What env.py runs itself comes before any of its migrations.
        database["sql"] = "".join(f"{text};\n" for text in reading.outside) + database["sql"]
        database["changes"] = bool(database["pending"] or reading.outside)
        found["current"] += [each for each in database["current"] if each not in found["current"]]
        found["pending"] += [each for each in database["pending"] if each not in found["pending"]]
    return found | {"heads": reading.heads, "databases": reading.databases}


def release_command() -> str:
    """Return the command that migrates the database for this release, as its manifest says it."""
    try:
        manifest = json.loads((Path(__file__).parents[1] / "manifest.json").read_text())
    except (OSError, ValueError):
        manifest = {}
    return os.environ.get("SLIPWAY_MIGRATE", manifest.get("migrate", ""))


def migrations_told(app: object | None) -> dict:
    """Return the facts that the migration gate asks for."""
    command = release_command()
    try:
        found = migrations(app, command)
    except (Exception, SystemExit) as error:
        found = {"error": brief(error), "heads": [], "databases": []}
    read = all(part["kind"] == "harmless" or (part["kind"] != "unread" and found) for part in parts(command))
    errors = [(found or {}).get("error"), *(each["error"] for each in (found or {}).get("databases", []))]
    is_empty = empty() if command and (not read or any(errors)) else None
    return {"migrations": found, "empty": is_empty}


def tell(target: str) -> dict:
    """Return what there is to tell of an app: {"imports": false, "error": ...} where it cannot be loaded."""
    before = opened()
    loaded: list[str] = []
    if not target:
        return {"imports": True, "flask": False} | migrations_told(None)
    try:
        app = load(target, loaded)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {"imports": False, "error": brief(error)} | migrations_told(None)
    facts: dict = {"imports": True, "flask": False, "at_fork": at_fork(before)}
    try:
        from flask import Flask
    except ImportError:
        return facts | migrations_told(None)
    while not isinstance(app, Flask) and getattr(app, "app", None) is not None:
        app = app.app
    if not isinstance(app, Flask):
        return facts | migrations_told(None)
    config = app.config
    facts |= {
        "flask": True,
        "debug": bool(app.debug),
        "testing": bool(app.testing),
        "key": key(app),
        "loaded": loaded,
        "proxies": proxies(app),
        "cookies": {name: config.get(f"SESSION_COOKIE_{name.upper()}") for name in ("secure", "httponly", "samesite")},
        "body_limit": config.get("MAX_CONTENT_LENGTH"),
        "database": database(app),
    }
    return facts | migrations_told(app)


def main() -> None:
    """Print the facts as one line of JSON; whatever the app itself prints goes to the journal."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    configuration = Configuration(Path(__file__).with_name("web"))
    facts = tell(os.environ.get("SLIPWAY_WSGI", ""))
    facts["gunicorn"] = configuration.read()
    answer.write(json.dumps(facts, default=str))
    answer.flush()
    # Threads that the app started do not keep this process.
    os._exit(0)


if __name__ == "__main__":
    main()
