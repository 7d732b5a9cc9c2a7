"""The gate in front of a migration: what needs a yes, and which yes; by a machine in a temporary directory."""

from __future__ import annotations

import json
import threading
import time

import pytest
from ansible.module_utils.slipway_release import gate, history, host, migration
from ansible.module_utils.slipway_release.engine import Operation
from ansible.module_utils.slipway_release.host import Failure
from ansible.module_utils.slipway_release.release import Release

OLD, NEW = "0123456789ab", "0123456789ac"
DATABASE = {
    "name": "",
    "current": ["0001"],
    "pending": ["0002"],
    "changes": True,
    "sql": "DROP TABLE entry",
    "error": "",
    "relations": [["public", "entry", "table"], ["public", "alembic_version", "table"]],
    "path": ["public"],
    "user": "shop",
    "version_table": "alembic_version",
}
KNOWN = {"heads": ["0002"], "current": ["0001"], "pending": ["0002"], "databases": [DATABASE], "error": ""}
ASKS = "revision 0002 asks the database itself"


@pytest.fixture
def operation(monkeypatch, tmp_path, envfile):
    """A deploy over a live release, of an app with a database."""
    for where in ("ROOT", "RUN"):
        monkeypatch.setattr(host, where, tmp_path / where)
    (tmp_path / "RUN/shop").mkdir(parents=True)
    for name in (OLD, NEW):
        release = Release("shop", name)
        (release.directory / "src").mkdir(parents=True)
        (release.directory / "env").write_text(envfile({"A": "1"}))
        manifest = {"id": name, "migrate": "flask db upgrade", "roots": ["."]}
        (release.directory / "manifest.json").write_text(json.dumps(manifest))
    asked = {"app": "shop", "operation": "deploy", "id": NEW, "by": "ann@desk", "migration_approved": ""}
    made = Operation(asked | {"database_url": "postgresql:///shop"})
    made.old = Release("shop", OLD)
    made.made = {"imports": True, "empty": None}
    return made


@pytest.fixture
def verdict(monkeypatch):
    """Let the control node find what the test says."""
    found: list[str] = []
    monkeypatch.setattr(gate, "ask", lambda operation, databases: list(found))
    return found


def command(text: str, *releases: str, files: dict | None = None) -> None:
    """Let releases (the new one) have a command, and files of it."""
    for name in releases or (NEW,):
        release = Release("shop", name)
        (release.directory / "manifest.json").write_text(json.dumps(release.manifest | {"migrate": text}))
        for file, content in (files or {}).items():
            (release.directory / "src" / file).parent.mkdir(parents=True, exist_ok=True)
            (release.directory / "src" / file).write_text(content)


def refusal(operation, known) -> str:
    """Return the words of the refusal."""
    with pytest.raises(Failure) as refused:
        gate.approved(operation, known)
    assert refused.value.step == "migrate"
    return refused.value.reason


def test_what_is_harmless_passes_and_is_kept(operation, verdict):
    assert gate.approved(operation, KNOWN) == {"schema": ["0002"]}


def test_what_takes_away_needs_the_revision_s_own_yes_and_is_kept(operation, verdict):
    verdict.append("drops the table entry")
    assert "-e app_migration_approved=0002" in refusal(operation, KNOWN)
    operation.request["migration_approved"] = "0001"
    refusal(operation, KNOWN)
    operation.request["migration_approved"] = "0002"
    assert gate.approved(operation, KNOWN)["contracting"] == ["drops the table entry"]


def test_an_empty_database_is_not_asked_about(operation, monkeypatch):
    monkeypatch.setattr(gate, "ask", lambda *_: pytest.fail("the control node was asked"))
    empty = DATABASE | {"current": [], "relations": [["public", "alembic_version", "table"]]}
    # Not even where its data migrations cannot be read.
    empty["error"] = ASKS
    assert gate.approved(operation, KNOWN | {"current": [], "databases": [empty]}) == {}


def test_an_ordinary_deploy_asks_nobody(operation, monkeypatch):
    monkeypatch.setattr(gate, "ask", lambda *_: pytest.fail("the control node was asked"))
    assert gate.approved(operation, KNOWN | {"pending": [], "databases": [DATABASE | {"changes": False}]}) == {}


def test_a_database_that_only_looks_empty_is_refused(operation, verdict):
    lost = DATABASE | {"current": []}
    assert "its table alembic_version names no revision" in refusal(operation, KNOWN | {"databases": [lost]})
    unknown = DATABASE | {"current": [], "path": [], "relations": [], "error": "OperationalError: gone"}
    assert "cannot be read: OperationalError" in refusal(operation, KNOWN | {"databases": [unknown]})


def test_what_cannot_be_read_is_refused(operation, verdict):
    assert f"cannot be read: {ASKS}" in refusal(operation, KNOWN | {"databases": [DATABASE | {"error": ASKS}]})
    assert "cannot be read: no" in refusal(operation, {"heads": [], "databases": [], "error": "no alembic.ini"})
    operation.made |= {"imports": False, "error": "UndefinedColumn"}
    assert "cannot be loaded before its migration (UndefinedColumn)" in refusal(operation, {"error": "no app"})


def test_another_command_needs_a_yes_where_it_is_not_what_the_live_release_ran(operation, verdict):
    command("sh fill.sh", OLD, NEW, files={"fill.sh": "python fill.py", "fill.py": "1", "app.py": "1"})
    command("sh fill.sh", files={"app.py": "2"})
    assert gate.approved(operation, {}) == {}
    assert "it is what the live release ran" in operation.state["warnings"][0]
    command("sh fill.sh", files={"fill.py": "2"})
    said = refusal(operation, {})
    assert "runs `sh fill.sh`" in said and f"-e app_migration_approved={gate.fingerprint(operation)}" in said
    operation.request["migration_approved"] = gate.fingerprint(operation)
    assert "runs `sh fill.sh`" in gate.approved(operation, {})["contracting"][0]
    command("sh fill.sh", files={"fill.py": "3"})
    refusal(operation, {})


def test_a_yes_to_alembic_s_steps_is_none_to_another_command(operation, verdict):
    verdict.append("drops the table entry")
    command("flask db upgrade && flask seed")
    operation.request["migration_approved"] = "0002"
    assert f"-e app_migration_approved=0002-{gate.fingerprint(operation)}" in refusal(operation, KNOWN)


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("yoyo apply", "migrations/0001.sql"),
        ("python manage.py migrate", "shop/migrations/0001.py"),
        ("python -m tools.fill", "tools/fill.py"),
        ("flask seed", "commands.py"),
        ("psql $DATABASE_URL -f change.sql", "change.sql"),
    ],
)
def test_the_files_by_which_a_command_changes_the_database_belong_to_it(operation, verdict, text, file):
    command(text, OLD, NEW, files={file: "import click"})
    assert gate.approved(operation, {}) == {}
    command(text, files={file: "import click  # changed"})
    refusal(operation, {})


def test_an_app_without_a_database_runs_what_it_likes(operation, envfile):
    operation.request["database_url"] = ""
    command("flask no-such-command")
    assert gate.approved(operation, {}) == {}
    (operation.release.directory / "env").write_text(envfile({"STORE": "mysql+pymysql://u@h/d"}))
    refusal(operation, {})


def test_nothing_was_live_before(operation, verdict):
    operation.old = None
    command("./init.sh")
    assert gate.approved(operation, {}) == {} and "goes on" in operation.state["warnings"][0]
    operation.made["empty"] = False
    refusal(operation, {})
    operation.made["empty"] = True
    assert gate.approved(operation, {}) == {}


def test_what_touches_no_database_is_not_asked_about(operation):
    command("test -n x && sleep 15")
    assert gate.approved(operation, KNOWN | {"error": "anything"}) == {}


# The verdict
def test_the_verdict_is_waited_for_and_leaves_nothing(operation):
    def answer() -> None:
        while json.loads((operation.run_directory / "state.json").read_text())["status"] != "gate":
            time.sleep(0.01)
        asked = json.loads((operation.run_directory / "gate.json").read_text())["databases"]
        (operation.run_directory / "part").write_text(json.dumps({"steps": [asked[0]["sql"]]}))
        (operation.run_directory / "part").rename(operation.run_directory / "verdict.json")

    operation.tell()
    other = threading.Thread(target=answer)
    other.start()
    assert gate.ask(operation, [DATABASE]) == ["DROP TABLE entry"]
    other.join()
    assert [file.name for file in operation.run_directory.iterdir()] == ["state.json"]
    assert operation.state["status"] == "running"


def test_no_verdict_is_no_yes(operation, monkeypatch):
    monkeypatch.setattr(gate, "_VERDICT_SECONDS", 0)
    operation.request["migration_approved"] = "yes"
    # An answer of an earlier time is none.
    (operation.run_directory / "verdict.json").write_text('{"steps": []}')
    assert "it did not run" in refusal(operation, KNOWN)


# The way back
def test_a_roll_back_over_what_could_not_be_read_is_refused_without_alembic_too(operation):
    lines = [
        {"id": OLD, "result": "live", "version": "v1"},
        {"id": NEW, "result": "live", "version": "v2", "contracting": ["runs `./x`"]},
    ]
    with pytest.raises(Failure, match="runs `./x`"):
        migration.see_that_schema_fits(lines, Release("shop", NEW), Release("shop", OLD))
    assert history.contracting_since(lines, OLD)
