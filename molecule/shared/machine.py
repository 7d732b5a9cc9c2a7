"""A machine under test: its inventory, its playbooks and its shell."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shlex
import subprocess
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PROJECT = Path(__file__).parents[2]


class Shell:
    """A root's shell on a machine, for one command after another: Docker takes 0.06 s of a processor to start one."""

    def __init__(self, machine: str) -> None:
        self.command, self.lock = ["docker", "exec", "-i", machine, "sh"], threading.Lock()
        self.process: subprocess.Popen | None = None
        atexit.register(self.close)

    def __call__(self, command: str) -> tuple[int, str, str]:
        """Run a command; its status and what it printed. Raises EOFError where the machine goes meanwhile."""
        with self.lock:
            if self.process is not None and self.process.poll() is not None:
                self.close()
            if self.process is None:
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
                self.process = subprocess.Popen(self.command, text=True, bufsize=1, **pipes)
            end = uuid.uuid4().hex
            errors = f"/tmp/{end}"
            self.process.stdin.write(
                f"sh -c {shlex.quote(command)} </dev/null 2>{errors}; printf '\\n{end} %s\\n' $?;"
                f" cat {errors}; rm {errors}; printf '\\n{end}\\n'\n"
            )
            said, status = self._until(end)
            return int(status), said, self._until(end)[0]

    def _until(self, end: str) -> tuple[str, str]:
        """What is printed until a line that begins with a word, without the newline before it; and the line's rest."""
        lines = []
        while line := self.process.stdout.readline():
            if line.startswith(end):
                return "".join(lines).removesuffix("\n"), line.removeprefix(end).strip()
            lines.append(line)
        raise EOFError("".join(lines))

    def close(self) -> None:
        """End it, before its machine does."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


@functools.cache
def shell_of(machine: str) -> Shell:
    """Return the shell of a machine."""
    return Shell(machine)


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

    def restart(self, kill: bool = False) -> None:
        """Restart it as a whole, or kill all that runs on it at once and start it again.

        Docker may give it another address then; whoever reaches it by name goes on.
        """
        before = self.address
        shell_of(self.machine).close()
        where = ["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.machine]
        if kill:
            subprocess.run(["docker", "kill", self.machine], check=True, capture_output=True)
            subprocess.run(["docker", "start", self.machine], check=True, capture_output=True)
        else:
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
        # Where somebody says how wide a line may be, uv folds its errors to that.
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        environment |= {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
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
        status, said, errors = shell_of(self.machine)(command)
        assert not check or status == 0, errors
        return said.strip()
