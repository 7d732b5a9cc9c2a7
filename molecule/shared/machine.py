"""A machine under test: its inventory, its playbooks and its shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PROJECT = Path(__file__).parents[2]


@dataclass
class Machine:
    """A machine that site.yml made, with the variables that its inventory gives the app."""

    machine: str
    scratch: Path
    variables: dict

    @classmethod
    def of(cls, machine: str, scratch: Path) -> Self:
        """Return the machine with what its scenario has written down for it."""
        return cls(machine, scratch, json.loads((scratch / f"{machine}.json").read_text()))

    @property
    def address(self) -> str:
        """The machine's address."""
        return (self.scratch / f"{self.machine}.known_hosts").read_text().split()[0]

    def restart(self) -> None:
        """Restart it as a whole. Docker may give it another address then; whoever reaches it by name goes on."""
        before = self.address
        where = ["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.machine]
        subprocess.run(["docker", "restart", "--time", "60", self.machine], check=True, capture_output=True)
        now = subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip()
        for file in (self.scratch / f"{self.machine}.known_hosts", self.scratch / f"{self.machine}.ini"):
            file.write_text(re.sub(rf"(?<![0-9.]){re.escape(before)}(?![0-9.])", now, file.read_text()))

    def command(self, playbook: str, *words: str, **extra: object) -> list[str]:
        """Return the words of a playbook's command, with further ones, and with variables."""
        inventory, variables = self.scratch / f"{self.machine}.ini", json.dumps(self.variables | extra)
        return ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", str(inventory), "-e", variables, *words]

    def start(
        self, playbook: str, under: tuple[str, ...] = (), words: tuple[str, ...] = (), **extra: object
    ) -> subprocess.Popen:
        """Begin a playbook in a process group of its own, under another command if that is given."""
        environment = os.environ | {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
        return subprocess.Popen(
            [*under, *self.command(playbook, *words, **extra)],
            cwd=PROJECT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(
        self, playbook: str, code: int = 0, under: tuple[str, ...] = (), words: tuple[str, ...] = (), **extra: object
    ) -> str:
        """Run a playbook to its end and return what it printed; its exit status must be ``code``."""
        process = self.start(playbook, under, words, **extra)
        said, _nothing = process.communicate()
        assert process.returncode == code, said[-6000:]
        return said

    def shell(self, command: str, check: bool = True) -> str:
        """Run a command on the machine, as root, and return what it printed."""
        done = subprocess.run(["docker", "exec", self.machine, "sh", "-c", command], capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()
