"""What takes a release live: what of it needs neither root nor systemd."""

from __future__ import annotations

import json
import math
import os
import runpy
import stat
import subprocess
import sys

import pytest
from ansible.module_utils.slipway_release import (
    check_app,
    fleet,
    history,
    host,
    migration,
    preflight,
    program,
    recovery,
    retirement,
)
from ansible.module_utils.slipway_release.engine import Operation
from ansible.module_utils.slipway_release.host import Failure
from ansible.module_utils.slipway_release.layout import Layout
from ansible.module_utils.slipway_release.release import (
    Release,
    change_environment,
    content_id,
    decode_environment,
    name,
    settings_digest,
    stems,
)

SETTINGS = {"SECRET_KEY": 'se"cr$et', "SHORT": "abc", "LINES": "first line\nsecond line", "PLAIN": "plain-value"}
IDS = ["0123456789ab", "0123456789ac", "0123456789ad", "0123456789ae"]
MANIFEST = {
    "id": IDS[0],
    "web": "exec gunicorn wsgi:app",
    "wsgi": "wsgi:app",
    "processes": {"worker": "exec python work.py"},
    "migrate": "flask db upgrade",
    "static": [],
    "roots": [".", "src"],
    "source": "s",
    "dependencies": "d",
    "python": "3.11",
    "settings": "e",
    "secrets": ["SECRET_KEY", "SHORT", "LINES"],
}
pytestmark = pytest.mark.usefixtures("machine")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")


@pytest.fixture
def release(envfile):
    """A release with settings, three of them secret."""
    made = Release("shop", IDS[0])
    made.directory.mkdir()
    (made.directory / "env").write_text(envfile(SETTINGS))
    (made.directory / "manifest.json").write_text(json.dumps(MANIFEST))
    return made


@pytest.fixture
def operation():
    """A deploy that nobody has begun."""
    asked = {"app": "shop", "operation": "deploy", "id": IDS[0], "by": "ann@desk", "manifest": MANIFEST, "keep": 2}
    return Operation(asked)


def live(operation, name, what="deploy"):
    """Let a release be live: its directory, the link and a line of the history."""
    operation.old = operation.live()
    operation.release = Release("shop", name)
    operation.state.update(operation=what, previous=operation.old.name if operation.old else "")
    operation.release.directory.mkdir(exist_ok=True)
    operation.point(operation.release)
    operation.remember("live")


# Settings
def test_settings_with_text_around_them():
    text = '# a comment\nA="1"\n\nnot a line\nB="two\nlines \\"quoted\\""\n'
    assert decode_environment(text) == {"A": "1", "B": 'two\nlines "quoted"'}


def test_changed_settings_are_what_the_control_node_would_have_written(envfile):
    old = {"B": 'two\nlines "\\', "A": "1", "GONE": "x"}
    text = change_environment(envfile(old), envfile({"A": "new $", "Z": "`z`"}), ["GONE", "NEVER"])
    assert text == envfile({"A": "new $", "B": old["B"], "Z": "`z`"})
    assert settings_digest(text) == settings_digest(envfile({"A": "new $", "B": old["B"], "Z": "`z`"}))


def test_secrets_are_struck_out_and_plain_settings_are_not(release):
    assert release.redact('key se"cr$et, second line, plain-value') == "key ********, ********, plain-value"


def test_very_short_secret_does_not_strike_out_half_the_log(release):
    assert release.redact("abc in a word: abcdef") == "abc in a word: abcdef"


def test_release_without_settings_has_nothing_to_strike_out():
    bare = Release("shop", IDS[1])
    assert (bare.redact("text"), bare.manifest) == ("text", {})


def test_torn_manifest_is_no_manifest(release):
    (release.directory / "manifest.json").write_text('{"secrets": [')
    assert release.manifest == {}


# Names and units
def test_id_follows_the_content_and_nothing_else():
    assert content_id(MANIFEST) == content_id(MANIFEST | {"ref": "main", "secrets": []})
    changed = [content_id(MANIFEST | {key: "other"}) for key in ("source", "dependencies", "settings", "web", "python")]
    assert len({content_id(MANIFEST), *changed}) == 6


def test_a_restart_has_another_name_each_time():
    names = {name(MANIFEST | {"generation": number}) for number in range(4)}
    assert name(MANIFEST) == IDS[0] and IDS[0] in names
    assert len(names) == 4 and all(len(each) == 12 for each in names)


def test_units_of_a_release(release):
    web = ["shop-web@0123456789ab.socket", "shop-web@0123456789ab.service"]
    assert release.units() == [*web, "shop-worker@0123456789ab.service"]
    (release.root / "scale/worker").write_text("2\n")
    two = ["shop-worker@0123456789ab.service", "shop-worker.2@0123456789ab.service"]
    assert release.units() == [*web, *two]
    (release.root / "scale/worker").write_text("0\n")
    assert release.units() == web


def test_instances_are_numbered_from_the_second_on():
    assert [stems("worker", count) for count in (None, 1, 0, 3)] == [
        ["worker"],
        ["worker"],
        [],
        ["worker", "worker.2", "worker.3"],
    ]


def test_units_of_an_app_whose_name_begins_alike_are_left_alone():
    for app in ("shop", "shop-web"):
        (host.UNITS / f"{app}-web@.service").write_text(f"[Service]\nExecStart={host.ROOT}/{app}/releases/%i/bin/web\n")
    assert host.belongs(f"shop-web@{IDS[0]}.service", "shop")
    assert not host.belongs(f"shop-web-web@{IDS[0]}.service", "shop")
    assert not host.belongs(f"shop-gone@{IDS[0]}.service", "shop")


def test_instances_that_begin_at_the_next_boot_are_found(monkeypatch):
    monkeypatch.setattr(host, "systemctl", lambda *words, check=True: subprocess.CompletedProcess(words, 0, "", ""))
    (host.UNITS / "shop-web@.socket").write_text(f"[Socket]\nListenStream={host.ROOT}/shop/releases/%i/web.sock\n")
    wants = host.UNITS / "sockets.target.wants"
    wants.mkdir()
    for unit in (f"shop-web@{IDS[0]}.socket", "shop-web@else.socket", f"shop-gone@{IDS[0]}.service"):
        (wants / unit).symlink_to("/nowhere")
    assert host.instances("shop") == {f"shop-web@{IDS[0]}.socket": IDS[0]}


# The history
def test_link_is_replaced_and_read_back(operation):
    assert operation.live() is None
    for each in IDS[:2]:
        operation.point(Release("shop", each))
        assert os.readlink(operation.current) == f"releases/{each}"
        assert operation.live().name == each


def test_progress_is_whole_at_every_moment(operation):
    operation.step("health")
    assert json.loads((operation.run_directory / "state.json").read_text())["step"] == "health"
    assert [file.name for file in operation.run_directory.iterdir()] == ["state.json"]


def test_versions_count_releases_that_went_live(operation):
    live(operation, IDS[0])
    operation.remember("failed", "health: 500")
    live(operation, IDS[1])
    assert [(line["result"], line.get("version")) for line in operation.lines] == [
        ("live", "v1"),
        ("failed", None),
        ("live", "v2"),
    ]
    assert operation.lines[0]["who"] == "ann@desk"


def test_a_version_is_never_lower_than_another_machine_s(operation):
    operation.request["version"] = 7
    live(operation, IDS[0])
    assert operation.lines[-1]["version"] == "v7"


def test_history_with_a_torn_last_line(operation):
    live(operation, IDS[0])
    with open(operation.root / "history.jsonl", "a") as handle:
        handle.write('{"id": "0123')
    assert [line["version"] for line in operation.lines] == ["v1"]
    live(operation, IDS[1])
    assert [line["version"] for line in operation.lines] == ["v1", "v2"]


def test_the_predecessor_is_what_served_before(operation):
    assert history.predecessor(operation.lines, "") == ""
    live(operation, IDS[0])
    assert history.predecessor(operation.lines, IDS[0]) == ""
    live(operation, IDS[1])
    live(operation, IDS[2])
    assert history.predecessor(operation.lines, IDS[2]) == IDS[1]
    live(operation, IDS[0], "roll-back")
    assert history.predecessor(operation.lines, IDS[0]) == IDS[2]


def test_a_restart_is_the_same_version_and_no_predecessor_of_itself(operation):
    live(operation, IDS[0])
    live(operation, IDS[1])
    live(operation, IDS[2], "restart")
    assert [line["version"] for line in operation.lines] == ["v1", "v2", "v2"]
    assert history.predecessor(operation.lines, IDS[2]) == IDS[0]
    assert history.named(operation.lines, "v2") == IDS[2]
    assert history.kept(operation.lines, IDS[2], 5) == [IDS[2], IDS[0]]


def test_named_releases(operation):
    live(operation, IDS[0])
    live(operation, IDS[1])
    asked = ["v1", "v2", IDS[0], "v9", "0" * 12]
    assert [history.named(operation.lines, each) for each in asked] == [IDS[0], IDS[1], IDS[0], "", ""]


def test_contracting_steps_since_a_release_count_those_of_failed_deploys(operation):
    live(operation, IDS[0])
    operation.migrated = {"contracting": ["drops the table a"]}
    operation.release = Release("shop", IDS[1])
    operation.remember("failed", "health: 500")
    operation.migrated = {}
    live(operation, IDS[2])
    assert history.contracting_since(operation.lines, IDS[0]) == ["drops the table a"]
    assert history.contracting_since(operation.lines, IDS[2]) == []


def test_an_attempt_that_failed_does_not_hide_what_was_taken_away_before_it(operation):
    live(operation, IDS[0])
    operation.migrated = {"contracting": ["drops the table a"]}
    live(operation, IDS[1])
    operation.migrated = {}
    operation.release = Release("shop", IDS[0])
    operation.remember("failed", "health: 500")
    assert history.contracting_since(operation.lines, IDS[0]) == ["drops the table a"]


def test_a_migration_is_in_the_history_before_it_runs(operation):
    live(operation, IDS[0])
    operation.release = Release("shop", IDS[1])
    operation.remember_migration({"schema": ["0002"], "contracting": ["drops the table a"]})
    # Killed here, and started anew: another process has nothing but the disk.
    lines = Operation(operation.request).lines
    assert (lines[-1]["result"], lines[-1]["id"], "version" in lines[-1]) == ("migrating", IDS[1], False)
    assert history.contracting_since(lines, IDS[0]) == ["drops the table a"]
    assert history.predecessor(lines, IDS[0]) == "" and history.last_version(lines) == 1
    operation.remember_migration({})
    assert len(operation.lines) == len(lines)


@pytest.mark.parametrize(("heads", "refused"), [({}, True), ({"heads": ["0002"]}, True), ({"heads": ["0001"]}, True)])
def test_a_roll_back_over_a_migration_that_was_killed_is_refused(operation, heads, refused):
    """Also between releases of the same schema: the live one has not lived with what the migration took away."""
    for each in IDS[:2]:
        live(operation, each)
        (operation.release.directory / "schema.json").write_text(json.dumps({"heads": ["0001"]}))
    operation.release = Release("shop", IDS[2])
    operation.remember_migration({"schema": ["0002"], "contracting": ["drops the table a"]})
    serving = operation.live()
    (serving.directory / "schema.json").write_text(json.dumps(heads))
    with pytest.raises(Failure, match="drops the table a"):
        migration.see_that_schema_fits(operation.lines, serving, Release("shop", IDS[0]))


def test_a_roll_back_between_releases_that_have_both_lived_with_it_is_not_refused(operation):
    live(operation, IDS[0])
    operation.migrated = {"contracting": ["drops the table a"]}
    live(operation, IDS[1])
    operation.migrated = {}
    live(operation, IDS[2])
    migration.see_that_schema_fits(operation.lines, operation.live(), Release("shop", IDS[1]))


# A switch that was interrupted
def interrupted(operation, what="deploy", before=IDS[0], scaled=None):
    """Let the process be killed between the rename of ``current`` and the line of the history; a new one begins."""
    if before:
        live(operation, before)
        (operation.release.directory / "manifest.json").write_text(json.dumps(MANIFEST | {"id": before}))
    operation.old = operation.live()
    operation.request["operation"] = what
    operation.state.update(operation=what, previous=before)
    operation.release = Release("shop", IDS[1])
    operation.release.directory.mkdir()
    operation.scaled_before = scaled
    operation.note_switch()
    operation.point(operation.release)
    return Operation({"app": "shop", "operation": "deploy", "by": "bob@desk"})


@pytest.fixture
def systemd(monkeypatch):
    """A systemd that does as it is told, and says what that was."""
    told: list[tuple] = []

    def systemctl(*words, check=True):
        told.append(words)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(host, "systemctl", systemctl)
    monkeypatch.setattr(host, "_within", lambda of, verb, *units: told.append((verb, *units)) or 0)
    monkeypatch.setattr(retirement, "systemctl", systemctl)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return told


@root_only
def test_a_switch_that_nobody_confirmed_is_rolled_back_by_the_next_run(operation, systemd):
    following = interrupted(operation, scaled={"worker": 1})
    (following.root / "scale/worker").write_text("5\n")
    (following.run_directory / "state.json").unlink()
    following.take_back_unconfirmed()
    assert following.live().name == IDS[0] and following.old.name == IDS[0]
    assert following.state["previous"] == IDS[0]
    last = following.lines[-1]
    assert (last["result"], last["id"], last["who"], last["from"]) == ("failed", IDS[1], "ann@desk", IDS[0])
    assert "interrupted after the switch" in last["why"]
    assert not Release("shop", IDS[1]).directory.exists()
    assert (following.root / "scale/worker").read_text() == "1\n"
    assert ("start", f"shop-web@{IDS[0]}.service") in systemd
    # What waits for the new operation must not take the end of the interrupted one for its own.
    assert not (following.run_directory / "state.json").exists()
    following.take_back_unconfirmed()
    assert len(following.lines) == 2


@root_only
@pytest.mark.parametrize("where", ["before the rename", "after the history"])
def test_a_note_that_is_void_changes_nothing(operation, systemd, where):
    following = interrupted(operation)
    if where == "before the rename":
        following.point(Release("shop", IDS[0]))
    else:
        operation.remember("live")
    serving = following.live().name
    following.take_back_unconfirmed()
    assert following.live().name == serving
    assert recovery.unconfirmed(following.root, serving) == {}
    assert not list(following.root.glob("unconfirmed*"))


@root_only
def test_a_roll_back_that_was_interrupted_is_kept(operation, systemd):
    following = interrupted(operation, "roll-back")
    following.take_back_unconfirmed()
    assert following.live().name == IDS[1]
    assert [(line["result"], line["what"]) for line in following.lines] == [("live", "deploy"), ("live", "roll-back")]


@root_only
def test_a_first_release_that_was_interrupted_goes_on_serving_until_the_next_run_checks_it(operation, systemd):
    following = interrupted(operation, before="")
    following.take_back_unconfirmed()
    assert following.live().name == IDS[1] and following.lines == []


@root_only
def test_at_boot_what_belongs_to_no_live_release_is_stopped(operation, systemd, monkeypatch):
    following = interrupted(operation)
    monkeypatch.setattr(host, "instances", lambda app, *states: {f"shop-web@{IDS[2]}.service": IDS[2]})
    monkeypatch.setattr(retirement, "up", lambda unit: True)
    assert following.recover() is True
    assert ("stop", f"shop-web@{IDS[2]}.service") in systemd
    assert following.live().name == IDS[0]
    systemd.clear()
    monkeypatch.setattr(Operation, "locked", lambda self: True)  # this process holds the lock since the first time
    # Not when a process has failed on a machine that runs: what is kept warm there stays up.
    monkeypatch.setenv("MONITOR_UNIT", "shop-deploy.service")
    assert Operation({"app": "shop", "operation": "recover", "by": "systemd"}).recover() is True
    assert not any("stop" in words for words in systemd)


def test_what_somebody_else_ships_meanwhile_is_left_to_him(operation):
    incoming = operation.root / "incoming"
    operation.request["archives"] = {"source": {"name": "source-1.tar.gz"}, "venv": {"name": "venv-1.tar.gz"}}
    ours = ["source-1.tar.gz", "venv-1.tar.gz.part", f"{IDS[0]}.env", "old.tar.gz"]
    for each in [*ours, "source-2.tar.gz", "source-2.tar.gz.part", f"{IDS[1]}.env"]:
        (incoming / each).write_text("x")
    os.utime(incoming / "old.tar.gz", (1, 1))
    assert retirement.clear_parts(operation) is False
    retirement.clear_incoming(operation)
    left = sorted(file.name for file in incoming.iterdir())
    assert left == sorted(["source-2.tar.gz", "source-2.tar.gz.part", f"{IDS[1]}.env"])


def test_logs_of_migrations_are_not_kept_for_ever(tmp_path):
    directory = tmp_path / "log"
    directory.mkdir()
    for number in range(60):
        (directory / f"migrate-{number}.log").write_text("")
        os.utime(directory / f"migrate-{number}.log", (number, number))
    retirement.prune_logs(directory)
    assert {file.name for file in directory.iterdir()} == {f"migrate-{number}.log" for number in range(10, 60)}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [("45s", 45), ("1min 30s", 90), ("500ms", 0.5), ("2h 1min", 7260), ("infinity", math.inf), ("", math.inf)],
)
def test_time_spans_as_systemd_shows_them(shown, expected):
    assert host.seconds(shown) == expected


def test_what_is_in_run_is_root_s_alone():
    (host.RUN).chmod(0o755)
    directory = host.run_directory("shop")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (host.RUN, directory)] == [0o700, 0o700]


def test_what_a_release_has_other_than_the_one_before_it(operation, release):
    assert operation.changes(MANIFEST) == ["first release"]
    operation.old = release
    assert operation.changes(MANIFEST | {"settings": "x", "source": "y", "web": "z"}) == [
        "code",
        "settings",
        "processes",
    ]


def test_prune_keeps_the_newest_live_releases_and_what_they_share(operation):
    for number, each in enumerate(IDS[:3]):
        live(operation, each)
        (operation.root / "cache" / f"d{number}").mkdir()
    manifest = json.dumps({"dependencies": "d2"})
    (operation.root / "releases" / IDS[2] / "manifest.json").write_text(manifest)
    (operation.root / "releases" / IDS[3]).mkdir()
    retirement.prune(operation)
    assert sorted(path.name for path in (operation.root / "releases").iterdir()) == IDS[1:3]
    assert [path.name for path in (operation.root / "cache").iterdir()] == ["d2"]


@root_only
def test_scale_is_kept_and_says_what_changed(operation):
    for wanted, changed in (
        ({"worker": 2}, ["worker"]),
        ({"worker": 2}, []),
        ({"worker": 3, "web": 4}, ["web", "worker"]),
        ({}, ["web", "worker"]),
    ):
        operation.request["scale"] = wanted
        assert fleet.set_scale(operation) == changed
    assert list((operation.root / "scale").iterdir()) == []


def test_what_the_app_has_half_written_is_not_ours(tmp_path):
    for directory in ("releases/0123.part", "cache/4567.part", "shared/film.part"):
        (tmp_path / directory).mkdir(parents=True)
    assert sorted(part.name for part in host.half_written(tmp_path)) == ["0123.part", "4567.part"]


# Directories
def files_below(top):
    return {str(path.relative_to(top)): stat.S_IMODE(path.lstat().st_mode) for path in top.rglob("*")}


@pytest.fixture
def layout(monkeypatch):
    """The directory of a release in the making, for an app whose group is 1234."""
    monkeypatch.setattr("grp.getgrnam", lambda app: type("Group", (), {"gr_gid": 1234}))
    made = Layout(Release("shop", IDS[1]), dict(MANIFEST))
    made.part.mkdir()
    return made


@root_only
def test_static_files_are_public_and_compressed_and_nothing_else_is(layout):
    static = layout.part / "src/shop/static"
    (static / "css").mkdir(parents=True)
    (static / "css/style.css").write_text("body{}" * 200)
    (static / "small.css").write_text("body{}")
    (static / ".env").write_text("SECRET=1")
    (static / "tool.py").write_text("")
    layout.manifest["static"] = [{"url": "/static/", "path": "shop/static"}]
    layout._publish()
    assert files_below(layout.part / "public") == {
        "static": 0o755,
        "static/css": 0o755,
        "static/css/style.css": 0o644,
        "static/css/style.css.gz": 0o644,
        "static/small.css": 0o644,
    }


@root_only
def test_hashed_files_of_earlier_releases_are_carried_and_others_are_not(layout, release):
    old = release.directory / "public/static"
    old.mkdir(parents=True)
    for file in ("style.3f2a9c1b.css", "style.3f2a9c1b.css.gz", "private.txt", "app.0a1b2c3d.js"):
        (old / file).write_text("old")
    (release.directory / "carried.json").write_text(json.dumps({"files": ["static/app.0a1b2c3d.js"]}))
    (layout.part / "public/static").mkdir(parents=True)
    layout._carry([release])
    found = sorted(path.name for path in (layout.part / "public/static").iterdir())
    assert found == ["style.3f2a9c1b.css", "style.3f2a9c1b.css.gz"]


@root_only
def test_programs_of_a_release_run_its_own_python_and_code(layout):
    layout._programs()
    programs = dict.fromkeys(("web", "worker", "release", "gunicorn", "slipway-supervise", "slipway.check"), 0o750)
    assert files_below(layout.part / "bin") == {**programs, "check.py": 0o640}
    web = (layout.part / "bin/web").read_text()
    home = layout.release.directory
    assert f"export PATH={home}/bin:{home}/venv/bin:" in web
    assert f'PYTHONPATH="{home}/src:{home}/src/src' in web
    assert f"cd {home}/src || exit 1\nif read" in web and web.endswith("fi\nexec gunicorn wsgi:app\n")


@root_only
@pytest.mark.parametrize(("kept", "expected"), [(None, "unset unset"), ("3", "3 3")])
def test_web_takes_the_number_of_its_workers_from_the_scale(layout, kept, expected):
    layout.manifest["web"] = 'echo "${SLIPWAY_WORKERS-unset} ${WEB_CONCURRENCY-unset}"'
    (layout.release.directory / "src").mkdir(parents=True)
    if kept:
        (layout.root / "scale/web").write_text(kept + "\n")
    layout._programs()
    done = subprocess.run([layout.part / "bin/web"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@root_only
def test_archive_that_was_damaged_on_the_way_is_refused(layout):
    (layout.root / "incoming/source.tar.gz").write_bytes(b"damaged")
    with pytest.raises(Failure, match="is not what the control node sent"):
        layout._extract({"name": "source.tar.gz", "sha256": "0" * 64}, layout.part / "src")


# The machine
def test_disk_that_is_too_small_is_refused_in_words(tmp_path):
    preflight.disk(tmp_path, 1)
    with pytest.raises(Failure, match="MiB free, and this release may need"):
        preflight.disk(tmp_path, 1 << 60)


@pytest.mark.parametrize(("off", "word"), [(-500, "ahead of"), (500, "behind")])
def test_clock_that_is_wrong_is_refused_in_words(off, word):
    import time

    preflight.clock(time.time())
    with pytest.raises(Failure, match=word):
        preflight.clock(time.time() + off)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://shop@/shop?host=/run/postgresql", "/run/postgresql/.s.PGSQL.5432"),
        ("postgresql:///shop", "/run/postgresql/.s.PGSQL.5432"),
        ("postgres://db.example/shop", ("db.example", 5432)),
        ("postgresql+psycopg://db.example:6000/shop?sslmode=require", ("db.example", 6000)),
        ("mysql+pymysql://10.0.0.1/shop", ("10.0.0.1", 3306)),
        ("postgresql://[fd00::1]/shop", ("fd00::1", 5432)),
        ("postgresql://a,b/shop", None),
        ("sqlite:////srv/shop/shared/x.db", None),
        ("", None),
        ("postgresql://h:port/x", None),
    ],
)
def test_where_a_database_listens(url, address):
    assert preflight.listens_at(url) == address


def test_database_that_is_down_is_refused_without_its_password():
    with pytest.raises(Failure, match="nobody answers at localhost, port 1:") as refused:
        preflight.database("postgresql://u:hunter2@localhost:1/x")
    assert "hunter2" not in str(refused.value)


# The program
def test_program_is_whole_and_the_same_each_time(tmp_path):
    file = tmp_path / "slipway-release"
    file.write_bytes(program.build())
    assert file.read_bytes() == program.build()
    request = tmp_path / "request.json"
    request.write_text("{}")
    done = subprocess.run([sys.executable, file, request], capture_output=True, text=True)
    assert "KeyError: 'app'" in done.stderr and "slipway_release/engine.py" in done.stderr
    # systemd takes this for a crash, after which an interrupted switch is to be taken back; 1 is an ordinary failure.
    assert done.returncode == 70


def test_program_of_the_check_needs_nothing_of_ours():
    assert callable(runpy.run_path(check_app.__file__)["tell"])
