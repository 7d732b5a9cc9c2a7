"""The gate in front of migrations, for what is no Flask-Migrate with its defaults: by a second app beside the shop.

Plain SQLAlchemy, an alembic.ini, a version table of another name in a schema of its own, and commands of one's own. The
tests build on one another, in the order of the file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

APP = '''
import os

from flask import Flask
from sqlalchemy import create_engine, text

engine = create_engine(os.environ["SQLALCHEMY_DATABASE_URI"])
app = Flask(__name__)


@app.get("/healthz")
def health():
    """Answer by what the table has."""
    with engine.connect() as connection:
        return {"lines": connection.execute(text("SELECT count(note) FROM line")).scalar()}
'''
ENVIRONMENT = """
import os

from alembic import context
from sqlalchemy import create_engine, text

with create_engine(os.environ["SQLALCHEMY_DATABASE_URI"]).connect() as connection:
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS book"))
    connection.commit()
    context.configure(connection=connection, version_table="edition", version_table_schema="book")
    with context.begin_transaction():
        context.run_migrations()
"""
FILES = {
    "app.py": APP,
    "Procfile": "web: gunicorn app:app\nrelease: alembic upgrade head\n",
    "requirements.txt": "alembic==1.16.5\nflask==3.1.3\ngunicorn==23.0.0\npsycopg[binary]==3.3.9\nsqlalchemy==2.0.43\n",
    "alembic.ini": "[alembic]\nscript_location = steps\n",
    "steps/env.py": ENVIRONMENT,
}


def step(source: Path, revision: str, *statements: str, body: str = "") -> None:
    """Add a migration after the last one, of SQL or of Python."""
    lines = [f"op.execute({statement!r})" for statement in statements] + body.splitlines()
    below = repr(f"{int(revision) - 1:04}") if revision != "0001" else "None"
    (source / f"steps/versions/{revision}.py").write_text(
        f"from alembic import op\nfrom sqlalchemy import text\n\nrevision = '{revision}'\ndown_revision = {below}\n\n\n"
        "def upgrade():\n" + "".join(f"    {line}\n" for line in lines or ["pass"])
    )


@pytest.fixture(scope="module")
def ledger(site):
    """A second app on the machine, which is gone afterwards."""
    other = site.beside("ledger")
    source = site.scratch / f"{site.machine}.ledger"
    other.variables |= {"app_source": str(source), "app_watch_seconds": 0}
    shutil.rmtree(source, ignore_errors=True)
    for name, text in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text.lstrip())
    (source / "steps/versions").mkdir(exist_ok=True)
    step(
        source,
        "0001",
        "CREATE TABLE line (id INT PRIMARY KEY, note TEXT, old TEXT)",
        "INSERT INTO line VALUES (1, 'a')",
    )
    # An empty database needs nobody's yes, whatever the first migrations do to what they make.
    step(source, "0002", "UPDATE line SET old = note", "CREATE INDEX ON line (note)")
    other.place = source
    other.run("../site")
    yield other
    other.run("remove", confirm="ledger")


def ask(ledger, query: str) -> str:
    """Return what the ledger's database says."""
    return ledger.shell(f'runuser -u postgres -- psql -Atc "{query}" ledger')


def refused(ledger, reason: str, **extra: object) -> str:
    """See that a deploy is refused before the migration, for a reason, and has changed nothing; return its words."""
    tables = "SELECT string_agg(table_name || '.' || column_name, ',' ORDER BY 1) FROM information_schema.columns"
    before, there = ledger.shell("readlink /srv/ledger/current"), ask(ledger, tables)
    rows = ask(ledger, "SELECT count(*), max(note) FROM line")
    said = ledger.run("deploy", 2, **extra)
    assert "Step: migrate." in said and reason in said, said[-3000:]
    assert ledger.shell("readlink /srv/ledger/current") == before
    assert (ask(ledger, tables), ask(ledger, "SELECT count(*), max(note) FROM line")) == (there, rows)
    return said


def test_the_first_migrations_of_an_empty_database_run(ledger):
    assert ask(ledger, "SELECT version_num FROM book.edition") == "0002"


def test_a_step_that_only_adds_runs_without_a_word(ledger):
    step(ledger.place, "0003", "ALTER TABLE line ADD more TEXT", "CREATE TABLE page (id INT PRIMARY KEY)")
    assert "migration: " not in ledger.run("deploy")
    assert ask(ledger, "SELECT version_num FROM book.edition") == "0003"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER TABLE line DROP old", "drops the column line.old"),
        ("CREATE TABLE IF NOT EXISTS line (id INT); DROP TABLE line", "drops the table line"),
        ("CREATE TABLE book.line (id INT); DROP TABLE public.line", "drops the table line"),
        ("DO $$ BEGIN DROP TABLE line; END $$", "runs a block of code (DO)"),
        ("WITH gone AS (DELETE FROM line RETURNING 1) SELECT * FROM gone", "deletes rows of line"),
        ("UPDATE line SET note = NULL WHERE note = 'a'", "changes rows of line without a bound"),
    ],
)
def test_a_step_that_takes_away_is_refused_whatever_it_looks_like(ledger, statement, reason):
    step(ledger.place, "0004", statement)
    assert "-e app_migration_approved=0004" in refused(ledger, reason)


def test_a_step_that_asks_the_database_is_refused_and_has_run_nothing(ledger):
    step(ledger.place, "0004", body="if op.get_bind().execute(text('SELECT 1')).scalar():\n    op.drop_table('line')")
    refused(ledger, "revision 0004 asks the database itself")
    own = "from app import engine\nwith engine.begin() as other:\n    other.execute(text('DROP TABLE line'))"
    step(ledger.place, "0004", body=own)
    refused(ledger, "revision 0004 asks the database itself")


def test_an_empty_version_table_does_not_make_an_empty_database(ledger):
    step(ledger.place, "0004", "DROP TABLE line")
    ask(ledger, "ALTER TABLE book.edition RENAME TO gone")
    try:
        refused(ledger, "is not empty, but its table edition names no revision")
        refused(ledger, "drops the table line")
    finally:
        ask(ledger, "DROP TABLE IF EXISTS book.edition")
        ask(ledger, "ALTER TABLE book.gone RENAME TO edition")


def test_a_lost_control_node_is_the_end_before_the_migration(ledger):
    step(ledger.place, "0004", "ALTER TABLE line DROP old")
    running = ledger.start("deploy", app_migration_approved="0004")
    deadline = time.monotonic() + 120
    while "gate" not in ledger.shell("cat /run/slipway/ledger/state.json", check=False) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    ledger.shell(
        "while systemctl is-active ledger-deploy.service | grep -qxE 'active|deactivating'; do sleep 0.2; done"
    )
    # It was read, or it was not; in both cases nothing half is there.
    there = ask(ledger, "SELECT count(*) FROM information_schema.columns WHERE column_name = 'old'")
    assert there == ("0" if ask(ledger, "SELECT version_num FROM book.edition") == "0004" else "1")


def test_a_yes_names_the_revision_and_bars_the_way_back(ledger):
    ledger.run("deploy", app_migration_approved="0004")
    assert ask(ledger, "SELECT version_num FROM book.edition") == "0004"
    refused_back = ledger.run("roll-back", 2)
    assert "Step: schema." in refused_back and "drops the column line.old" in refused_back


def test_a_command_that_nobody_can_read_needs_a_yes_when_it_changes(ledger):
    (ledger.place / "Procfile").write_text("web: gunicorn app:app\nrelease: alembic upgrade head && sh fill.sh\n")
    (ledger.place / "fill.sh").write_text("python fill.py\n")
    (ledger.place / "fill.py").write_text("print('filled')\n")
    said = refused(ledger, "runs `sh fill.sh`, which is not Alembic's and cannot be read")
    yes = re.search(r"-e app_migration_approved=([0-9a-f]{12})\b", said)[1]
    ledger.run("deploy", app_migration_approved=yes)
    (ledger.place / "app.py").write_text(APP + "# changed\n")
    assert "it is what the live release ran" in ledger.run("deploy").replace("\n", " ")
    (ledger.place / "fill.py").write_text("print('filled more')\n")
    refused(ledger, "runs `sh fill.sh`")
