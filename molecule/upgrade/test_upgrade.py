"""Debian 12 becomes 13, and the app goes on: its rows, its dependencies for the new Python, and after a reboot.

The tests build on one another, in the order of the file.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
import uuid
from pathlib import Path

import pytest
from load import ask

ORDER = str(uuid.uuid4())
REQUEST = {"reboot": False}


def state(machine) -> str:
    """Return what an upgrade would change."""
    return machine.shell("cat /etc/debian_version /etc/apt/sources.list; readlink /srv/shop/current; pg_lsclusters -h")


def refused(machine, reason: str) -> None:
    """See that an upgrade is refused for a reason, and that nothing has changed."""
    before = state(machine)
    said = machine.run("upgrade-debian", 2, **REQUEST)
    assert reason in " ".join(said.split()), said[-3000:]
    assert state(machine) == before


def test_an_order_is_taken(machine):
    assert ask(machine.address, "POST", f"/orders/{ORDER}")[0] == 201


def test_what_cannot_be_upgraded_is_refused_before_anything_is_changed(machine):
    machine.shell("apt-mark hold curl")
    try:
        refused(machine, "these packages are held: curl")
    finally:
        machine.shell("apt-mark unhold curl")
    machine.shell("echo 'deb https://packages.example/apt stable main' >/etc/apt/sources.list.d/other.list")
    try:
        refused(machine, "packages come from elsewhere too: https://packages.example/apt")
    finally:
        machine.shell("rm /etc/apt/sources.list.d/other.list")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        (".python-version", "3.11\n", "asks for Python 3.11, and Debian 13 has 3.13"),
        ("requirements.txt", "backports-datetime-fromisoformat==0.0.0\n", "dependencies cannot be resolved"),
    ],
)
def test_an_app_that_could_not_start_there_is_refused(machine, file, content, reason):
    path = Path(machine.variables["app_source"]) / file
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + content)
    try:
        refused(machine, reason)
    finally:
        path.unlink() if before is None else path.write_text(before)


def test_an_upgrade_whose_control_node_is_killed_is_done_by_the_next_run(machine):
    first = machine.shell("readlink /srv/shop/current").removeprefix("releases/")
    begun = machine.start("upgrade-debian", **REQUEST)
    machine.shell(
        "for n in $(seq 3000); do grep -q trixie /etc/apt/sources.list && pgrep -x dpkg && break; sleep 0.1; done"
    )
    os.killpg(begun.pid, signal.SIGKILL)
    begun.communicate()
    machine.run("upgrade-debian", **REQUEST)
    assert machine.shell("cat /etc/debian_version").startswith("13")
    assert json.loads(ask(machine.address, "GET", "/orders")[1])["orders"] == [ORDER]
    live = machine.shell("readlink /srv/shop/current").removeprefix("releases/")
    assert live != first
    assert machine.shell(f"readlink /srv/shop/releases/{live}/venv/bin/python3") == "/usr/bin/python3.13"
    clusters = {line.split()[0]: line.split()[3] for line in machine.shell("pg_lsclusters -h").splitlines()}
    assert clusters == {"15": "down", "17": "online"}
    assert machine.shell("ls /var/backups/slipway/shop-*.dump")


def test_no_release_is_left_that_cannot_start(machine):
    pythons = machine.shell(
        "for r in /srv/shop/releases/*; do readlink -e $r/venv/bin/python3 || echo gone; done"
    ).split()
    assert pythons == ["/usr/bin/python3.13"]
    assert "not on this machine any more" in " ".join(machine.run("roll-back", 2).split())


def test_it_comes_back_after_a_reboot(machine):
    machine.restart()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if ask(machine.address, "GET", "/orders")[0] == 200:
                break
        except (OSError, http.client.HTTPException):
            time.sleep(0.5)
    assert json.loads(ask(machine.address, "GET", "/orders")[1])["orders"] == [ORDER]
    assert machine.shell("systemctl --failed --plain --no-legend") == ""


def test_another_run_changes_nothing(machine):
    said = machine.run("upgrade-debian", **REQUEST)
    assert "changed=0" in said.splitlines()[-2], said[-3000:]
