"""A site to try releases on: its machine, its inventory and its playbooks."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from load import Load, ask
from machine import Machine


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which machine it is about, and where its inventory is."""
    parser.addoption("--machine", required=True)
    parser.addoption("--scratch", required=True, type=Path)


class Site(Machine):
    """A machine with the shop on it."""

    def beside(self, app: str) -> Site:
        """Return another app of the same code on the same machine."""
        own = {
            "app_name": app,
            "app_domains": [f"{app}.example"],
            "app_secrets_file": f"{self.scratch}/{self.machine}.{app}.vault.yml",
        }
        return Site(self.machine, self.scratch, self.variables | own)

    @property
    def source(self) -> Path:
        """The directory of the app on the control node."""
        return self.scratch / f"{self.machine}.app"

    def begin(self, playbook: str, **extra: object) -> subprocess.Popen:
        """Begin a playbook whose steps will be waited for: nothing tells of the operation before."""
        self.shell("rm -f /run/slipway/shop/state.json")
        return self.start(playbook, **extra)

    def comes_to(self, step: str, seconds: float = 0, kill: bool = False) -> None:
        """Wait until the operation on the machine comes to a step, and some seconds more; kill it there if so asked.

        A step may be too short to be seen on a busy machine: then it is the end of the operation.
        """
        # By one process: one for each look took a tenth of a processor.
        look = f"""
import re, time
from pathlib import Path
said = ""
while not re.search(r'"step": "{step}"|"status": "(done|failed)"', said):
    time.sleep(0.005)
    try:
        said = Path("/run/slipway/shop/state.json").read_text()
    except FileNotFoundError:
        pass
"""
        then = "systemctl kill --signal=KILL shop-deploy.service || true" if kill else "true"
        self.shell(f"python3 -c {shlex.quote(look)} && sleep {seconds}; {then}")

    @property
    def live(self) -> str:
        """The name of the live release."""
        return self.shell("readlink /srv/shop/current").removeprefix("releases/")

    @property
    def history(self) -> list[dict]:
        """The lines of the history."""
        return [json.loads(line) for line in self.shell("cat /srv/shop/history.jsonl").splitlines()]

    def front(self) -> dict:
        """Return what the page says."""
        status, body = ask(self.address, "GET", "/")
        assert status == 200, body
        return json.loads(body)

    def idle(self) -> None:
        """Wait until no operation runs on the machine."""
        self.shell(
            "while systemctl is-active shop-deploy.service shop-recover.service | grep -qE '^(active|.*activating)$';"
            " do sleep 0.2; done"
        )

    def comes_back(self) -> None:
        """Wait until the machine, which was restarted, has booted and serves."""
        self.shell("timeout 120 systemctl is-system-running --wait || true")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                self.front()
                return
            except (OSError, AssertionError, http.client.HTTPException):
                time.sleep(0.5)
        self.front()

    def units(self) -> set[str]:
        """Return the units of releases that are up."""
        listed = self.shell("systemctl list-units --plain --no-legend --state=active,activating,failed 'shop-*@*'")
        return {line.split()[0] for line in listed.splitlines()}

    def settled(self) -> None:
        """See that one release is up and nothing is left over of another one."""
        self.idle()
        live = self.live
        assert self.units() == {f"shop-web@{live}.socket", f"shop-web@{live}.service", f"shop-worker@{live}.service"}
        parts = "find /srv/shop -mindepth 2 -maxdepth 2 -name '*.part' ! -path '*/shared/*'"
        assert self.shell(f"ls -A /srv/shop/incoming; {parts}") == ""
        enabled = self.shell("ls /etc/systemd/system/*.wants")
        assert set(re.findall(r"shop-\S+@([0-9a-f]{12})\.", enabled)) == {live}
        assert self.shell(f"find /srv/shop/releases -name web.sock ! -path '*/{live}/*'") == ""


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Site:
    """The site of the machine under test."""
    return Site.of(request.config.getoption("--machine"), request.config.getoption("--scratch"))


@pytest.fixture
def load(site: Site) -> Iterator[Callable[..., Load]]:
    """Steady load; when the test is over no request may have failed, and every write must be stored."""
    begun: list[Load] = []

    def begin(**options: float) -> Load:
        begun.append(Load(site.address, **options).__enter__())
        return begun[-1]

    yield begin
    for each in begun:
        each.stop()
        assert each.failures == [], f"{len(each.failures)} of {each.answered} failed: {each.failures[:5]}"
        assert each.answered > 0
        stored = set(json.loads(ask(site.address, "GET", "/orders")[1])["orders"])
        assert each.stored <= stored, f"{len(each.stored - stored)} acknowledged writes are lost"
        print(f"{each.answered} requests, none failed")
