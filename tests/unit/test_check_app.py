"""What the check tells of a real app: the shop of the scenario releases, whose setting BROKEN breaks it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.slipway_release import check_app, checks, start_gunicorn

pytestmark = pytest.mark.slow
SHOP = Path(__file__).parents[1] / "apps/shop"
URL = "postgresql+psycopg://shop@/shop?host=/nowhere"


def told(broken: str = "", target: str = "app:app", url: str = URL) -> dict:
    """Return what the check tells of the shop."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SHOP),
        "SLIPWAY_WSGI": target,
        "SECRET_KEY": "k" * 40,
        "DATABASE_URL": url,
        "SQLALCHEMY_DATABASE_URI": url,
        "BROKEN": broken,
    }
    words = [sys.executable, "-B", check_app.__file__]
    done = subprocess.run(words, env=environment, cwd=SHOP, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_what_is_open_when_workers_are_forked_is_told(tmp_path):
    (tmp_path / "opens.py").write_text(
        "import socket, threading, time\n"
        "ours, its = socket.socketpair()\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True, name='queue').start()\n"
        "def app(environ, start): pass\n"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "SLIPWAY_WSGI": "opens:app"}
    words = [sys.executable, "-B", check_app.__file__]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["at_fork"] == {"connections": ["a process of its own"] * 2, "threads": ["queue"], "patched": False}
    # There is no launcher beside the program here, so that nothing is known of gunicorn.
    assert facts["gunicorn"] is None


def test_what_gunicorn_would_run_with_is_asked_behind_a_shell(tmp_path):
    launcher = tmp_path / "web"
    program = f"{sys.executable} {start_gunicorn.__file__}"
    launcher.write_text(f"#!/bin/sh\nsh -c 'echo noise; exec {program} app:app --timeout 77' 2>&1\n")
    launcher.chmod(0o755)
    assert check_app.Configuration(launcher).read()["timeout"] == 77


def test_a_line_that_never_comes_to_gunicorn_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(check_app, "_CONFIGURATION_SECONDS", 1)
    launcher = tmp_path / "web"
    launcher.write_text("#!/bin/sh\nsleep 60 & sleep 60\n")
    launcher.chmod(0o755)
    assert check_app.Configuration(launcher).read() is None


def unsafe(facts: dict) -> list[str]:
    """Return the checks that would stop the deploy."""
    found = checks.judge(facts, {"proxy_hops": 1}, "gunicorn app:app", "")
    return [finding.check for finding in found if finding.unsafe]


@pytest.mark.parametrize(
    ("broken", "stopped_by"),
    [
        ("import", ["imports"]),
        ("debug", ["debug"]),
        ("key", ["secret_key"]),
        ("sqlite", ["database"]),
        ("proxies", ["proxy_fix"]),
    ],
)
def test_each_fault_of_the_app_stops_the_deploy(broken, stopped_by):
    # There is no database in this test, and the app says so whatever else is wrong with it.
    assert [check for check in unsafe(told(broken)) if check != "database" or broken == "sqlite"] == stopped_by


def test_what_is_told_of_an_app_that_is_well():
    facts = told()
    assert facts["key"] == {"set": True, "length": 40, "expected": True}
    assert facts["proxies"] == {"x_for": 1, "x_proto": 1, "x_host": 1, "x_port": 0, "x_prefix": 0}
    assert facts["cookies"] == {"secure": True, "httponly": True, "samesite": "Lax"}
    assert (facts["debug"], facts["testing"], facts["body_limit"]) == (False, False, 65536)
    assert facts["database"]["used"] == facts["database"]["configured"]
    assert facts["database"]["used"]["name"] == "shop"
    assert facts["migrations"]["heads"] == ["0001"]


def test_a_database_that_cannot_be_reached_stops_the_deploy_without_its_password():
    facts = told(url="postgresql+psycopg://shop:hunter2@localhost:1/shop")
    assert unsafe(facts) == ["database"]
    assert "hunter2" not in json.dumps(facts)


def test_an_app_that_is_not_there():
    facts = told(target="app:nothing")
    assert not facts["imports"] and "nothing" in facts["error"]


# What Alembic would run: by a database in a file, and env.py and commands of one's own.
ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine, text

with create_engine("sqlite:///app.db").connect() as connection:
    connection.execute(text("INSERT INTO marks VALUES ('env.py was here')"))
    context.configure(connection=connection, version_table="edition")
    with context.begin_transaction():
        context.run_migrations()
"""
SEVERAL = """
from alembic import context
from sqlalchemy import create_engine

for name in ("", "users"):
    with create_engine(f"sqlite:///{name or 'app'}.db").connect() as connection:
        context.configure(connection=connection)
        context.run_migrations(engine_name=name)
"""
BEFORE = """
CREATE TABLE edition (version_num VARCHAR); CREATE TABLE orders (id INT); CREATE TABLE marks (mark TEXT);
INSERT INTO edition VALUES ('0001'); INSERT INTO orders VALUES (1);
"""
INI = "[alembic]\nscript_location = steps\n"
ASKS = "revision 0002 asks the database itself"


@pytest.fixture
def read(tmp_path):
    """Return what the check tells of an app's migrations; the last one does what the test says."""

    def told_of(second: str, command: str = "alembic upgrade head", before: str = BEFORE, **files: str) -> dict:
        files = {"alembic.ini": INI, "steps/env.py": ENVIRONMENT} | files
        for revision, body in (("0001", "op.execute('CREATE TABLE orders (id INT)')"), ("0002", second)):
            below = "None" if revision == "0001" else "'0001'"
            files[f"steps/versions/{revision}.py"] = (
                "import sqlalchemy as sa\nfrom alembic import context, op\n\n"
                f"revision = '{revision}'\ndown_revision = {below}\n\n\ndef upgrade(engine_name=''):\n    {body}\n"
            )
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as database:
            database.executescript(before)
            was = list(database.iterdump())
            environment = {"PATH": os.environ["PATH"], "SLIPWAY_MIGRATE": command, "DATABASE_URL": "sqlite:///app.db"}
            words = [sys.executable, "-B", check_app.__file__]
            done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
            assert list(database.iterdump()) == was, "the reading has changed the database"
        return json.loads(done.stdout)

    return told_of


def test_the_version_table_of_env_py_says_where_the_schema_is(read):
    found = read("op.drop_table('orders')")["migrations"]
    assert (found["current"], found["pending"], found["heads"]) == (["0001"], ["0002"], ["0002"])
    # What env.py runs itself is told, and has not run.
    assert "INSERT INTO marks" in found["databases"][0]["sql"] and "DROP TABLE orders" in found["databases"][0]["sql"]


@pytest.mark.parametrize(
    "body",
    [
        "op.get_bind().execute(sa.text('DELETE FROM orders'))",
        "op.execute('DELETE FROM orders')",
        "context.is_offline_mode() or op.execute('DELETE FROM orders')",
        "op.execute(sa.table('orders', sa.column('id')).delete())",
    ],
)
def test_what_a_migration_runs_is_written_down(read, body):
    found = read(body)["migrations"]["databases"][0]
    assert "DELETE FROM orders" in found["sql"] and found["error"] == ""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("op.get_bind().execute(sa.text('SELECT 1')).scalar() and op.drop_table('orders')", ASKS),
        ("sa.create_engine('sqlite:///app.db').connect().execute(sa.text('DROP TABLE orders'))", ASKS),
        ("context.get_bind().execute(sa.text('DROP TABLE orders'))", ASKS),
        ("sa.inspect(op.get_bind()).get_table_names()", "revision 0002: NoInspectionAvailable"),
        ("raise SystemExit(3)", "revision 0002: SystemExit: 3"),
    ],
)
def test_what_a_migration_asks_or_hides_is_an_error(read, body, reason):
    assert reason in read(body)["migrations"]["databases"][0]["error"]


def test_an_empty_database_is_told_from_one_that_has_lost_its_version_table(read):
    lost = read("pass", before=BEFORE.replace("edition", "other"))["migrations"]["databases"][0]
    assert lost["current"] == [] and ["", "orders", "table"] in lost["relations"]


def test_an_empty_database_is_told(read):
    first = read("pass", before="CREATE TABLE marks (mark TEXT); DROP TABLE marks;")["migrations"]["databases"][0]
    assert (first["relations"], first["current"], first["pending"]) == ([], [], ["0001", "0002"])


def test_each_of_several_databases_is_told(read):
    found = read("engine_name and op.execute('DROP TABLE orders')", **{"steps/env.py": SEVERAL})["migrations"]
    assert [each["name"] for each in found["databases"]] == ["", "users"]
    assert ["DROP TABLE orders" in each["sql"] for each in found["databases"]] == [False, True]


def test_commands_that_are_not_alembics_are_not_read(read):
    told_of = read("pass", "python fill.py", **{"alembic.ini": "", "steps/env.py": ""})
    assert told_of["empty"] is False and told_of["migrations"]["implied"]


def test_a_configuration_that_is_not_there_is_an_error(read):
    assert "ended: " in read("pass", "alembic -c other.ini upgrade head")["migrations"]["error"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("flask db upgrade", ["flask"]),
        ('test "$BROKEN" != migration && flask db upgrade', ["harmless", "flask"]),
        ("python3 -m flask --app wsgi db upgrade --directory steps", ["flask"]),
        ("exec alembic -c conf/alembic.ini -x tenant=a upgrade head; sleep 3", ["alembic", "harmless"]),
        ("flask db upgrade && flask seed", ["flask", "unread"]),
        ("flask db upgrade\npython fill.py", ["flask", "unread"]),
        ("flask --app other db upgrade", ["unread"]),
        ("DATABASE_URL=x flask db upgrade", ["unread"]),
        ("flask db upgrade $(cat which)", ["unread"]),
        ("flask db downgrade base", ["unread"]),
        ("alembic downgrade -1", ["unread"]),
        ("alembic stamp head", ["unread"]),
        ("echo x | psql", ["unread"]),
        ("echo `psql -c 'DROP TABLE x'`", ["unread"]),
        ('echo "$(psql)"', ["unread"]),
        ("echo x > y", ["unread"]),
        ("flask db upgrade &", ["unread"]),
        ("(flask db upgrade)", ["unread"]),
        ("./release.sh", ["unread"]),
        ("yoyo apply --batch", ["unread"]),
        ("python manage.py migrate", ["unread"]),
        ("echo 'unfinished", ["unread"]),
        ("sleep 15", ["harmless"]),
        ("", []),
    ],
)
def test_the_parts_of_a_release_command(command, expected, monkeypatch):
    monkeypatch.setenv("SLIPWAY_WSGI", "wsgi:app")
    assert [part["kind"] for part in check_app.parts(command)] == expected
