"""What still runs replaced files, and what is done about which of it."""

from __future__ import annotations

import time

import pytest

from .conftest import load

MAPS = """
55d0-55d1 r--p 00000000 08:01 131 /usr/sbin/nginx
7f00-7f01 r-xp 00026000 08:01 132 {} (deleted)
"""


@pytest.fixture
def updates(tmp_path, monkeypatch):
    """The program, with a /proc and a /srv of the test's own."""
    module = load("roles/base/files/updates.py")
    for name in ("PROC", "APPS", "RUN"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(module, name, tmp_path / name)
    monkeypatch.setattr(module, "REPORT", tmp_path / "updates.json")
    monkeypatch.setattr(module, "MOTD", tmp_path / "motd.d/updates")
    monkeypatch.setattr(module, "main_process", lambda unit: "100")
    return module


def process(updates, number: int, file: str, group: str) -> None:
    """Let a process run a file that is deleted."""
    directory = updates.PROC / str(number)
    directory.mkdir()
    (directory / "maps").write_text(MAPS.format(file))
    (directory / "cgroup").write_text(group + "\n")


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("0::/system.slice/system-postgresql.slice/postgresql@17-main.service", "postgresql@17-main.service"),
        ("1:name=systemd:/docker/0a1b/system.slice/cron.service\n0::/", "cron.service"),
        ("0::/init.scope", "init.scope"),
        ("0::/user.slice/user-0.slice/session-4.scope", ""),
    ],
)
def test_the_unit_of_a_process(updates, group, unit):
    process(updates, 7, "/usr/lib/x86_64-linux-gnu/libssl.so.3", group)
    assert updates.outdated() == {unit: ["/usr/lib/x86_64-linux-gnu/libssl.so.3"]}


@pytest.mark.parametrize(
    "file", ["/memfd:x", "/dev/shm/PostgreSQL.1", "/SYSV0001", "/srv/shop/cache/a.so", "/tmp/x", "/dev/zero", "/[aio]"]
)
def test_what_no_package_brought_is_nobody_s_update(updates, file):
    process(updates, 7, file, "0::/system.slice/nginx.service")
    assert updates.outdated() == {}


def test_connections_to_sshd_that_are_under_way_end_by_themselves(updates):
    process(updates, 7, "/lib/x.so", "0::/system.slice/ssh.service")
    assert updates.outdated() == {}
    process(updates, 100, "/lib/x.so", "0::/system.slice/ssh.service")
    assert set(updates.outdated()) == {"ssh.service"}


def test_the_app_of_a_unit(updates):
    for app in ("shop", "shop-web"):
        (updates.APPS / app / "releases" / f"0123456789a{len(app)}").mkdir(parents=True)
    assert updates.app_of("shop-web@0123456789a4.service") == "shop"
    assert updates.app_of("shop-web-web@0123456789a8.service") == "shop-web"
    assert updates.app_of("shop-worker.2@0123456789a4.service") == "shop"
    assert updates.app_of("other-web@0123456789a4.service") == "" == updates.app_of("nginx.service")


@pytest.mark.parametrize(
    ("unit", "everything", "said"),
    [
        ("postgresql@17-main.service", False, "a restart cuts its connections; that is done at 04:00"),
        ("dbus.service", True, "a restart may disturb others, or ends somebody's session"),
        ("init.scope", False, "systemd itself, which does not answer meanwhile; that is done at 04:00"),
        ("docker.service", True, "a restart may disturb others, or ends somebody's session"),
        ("apt-daily-upgrade.service", False, ""),
        ("shop-deploy.service", False, ""),
    ],
)
def test_what_is_left_and_why(updates, unit, everything, said):
    assert updates.handler(unit, everything, "04:00") == said


@pytest.mark.parametrize(
    ("unit", "how"),
    [("nginx.service", "upgrade_nginx"), ("ssh.service", "restart_ssh"), ("cron.service", "restart")],
)
def test_what_is_restarted(updates, unit, how):
    assert updates.handler(unit, False, "") is getattr(updates, how)


def test_what_is_restarted_at_its_time(updates):
    assert updates.handler("postgresql@17-main.service", True, "") is updates.restart
    assert updates.handler("init.scope", True, "") is updates.reexecute


def test_each_app_is_restarted_once_and_what_fails_is_told(updates, monkeypatch):
    (updates.APPS / "shop/releases/0123456789ab").mkdir(parents=True)
    for number, name in enumerate(("web", "worker")):
        process(updates, number, "/usr/bin/python3.11", f"0::/system.slice/shop-{name}@0123456789ab.service")
    process(updates, 9, "/usr/lib/x.so", "0::/system.slice/postgresql@17-main.service")
    assert "restart.json is not there" in updates.refresh(False, "")[1]["shop"]
    asked = []
    monkeypatch.setattr(updates, "restart_app", lambda app: asked.append(app) or "")
    assert updates.refresh(False, "")[0] == ["shop"] == asked


def test_who_logs_in_reads_what_is_left_and_nothing_where_nothing_is(updates):
    updates.report(["shop"], {"postgresql@17-main.service": "a restart cuts"}, True)
    assert "still runs replaced files: postgresql@17-main" in updates.MOTD.read_text()
    assert "a new kernel waits for a reboot" in updates.MOTD.read_text()
    updates.report(["shop"], {}, False)
    assert not updates.MOTD.exists() and updates.REPORT.exists()


def test_the_time_of_day(updates, monkeypatch):
    at = {"23:58": True, "00:05": True, "00:06": False, "23:30": False, "": False}
    moment = time.struct_time((2026, 1, 1, 0, 5, 0, 0, 1, 0))
    monkeypatch.setattr(updates.time, "localtime", lambda: moment)
    assert {text: updates.is_time(text) for text in at} == at
