"""What takes a release live: what of it needs neither root nor systemd."""

from __future__ import annotations

import json
import os
import runpy
import stat
import subprocess
import sys

import pytest
from ansible.module_utils.slipway_release import check_app, fleet, history, host, preflight, program, retirement
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
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine whose /srv, /run/slipway and units are in a temporary directory."""
    for where in ("ROOT", "RUN", "UNITS"):
        (tmp_path / where).mkdir()
        monkeypatch.setattr(host, where, tmp_path / where)
    for below in ("releases", "cache", "incoming", "scale"):
        (tmp_path / "ROOT/shop" / below).mkdir(parents=True)
    (tmp_path / "RUN/shop").mkdir()


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
def test_tree_is_for_the_app_to_read_and_for_nobody_else(tmp_path):
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True)
    (top / "sub/file").write_text("")
    (top / "sub/program").write_text("")
    (top / "sub/program").chmod(0o755)
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    (top / "link").symlink_to(outside)
    host.own(top, 1234)
    assert files_below(top) | {"link": 0} == {"sub": 0o750, "sub/file": 0o640, "sub/program": 0o750, "link": 0}
    assert {path.lstat().st_gid for path in top.rglob("*")} == {1234}
    assert (stat.S_IMODE(outside.stat().st_mode), outside.stat().st_gid) == (0o600, 0)


@root_only
def test_programs_of_a_release_run_its_own_python_and_code(layout):
    layout._programs()
    programs = dict.fromkeys(("web", "worker", "release", "gunicorn", "slipway.check"), 0o750)
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
        layout._extract({"name": "source.tar.gz", "sha256": "0" * 64}, layout.part)


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


def test_program_of_the_check_needs_nothing_of_ours():
    assert callable(runpy.run_path(check_app.__file__)["tell"])
