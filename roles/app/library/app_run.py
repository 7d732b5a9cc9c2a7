#!/usr/bin/python
"""Run a one-off command in the live release's environment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_run
short_description: Run a one-off command in the environment of an app's live release
description:
  - systemd runs it in a transient unit with the user, sandbox, limits and settings of the release's own processes, as
    the role gunicorn describes them, and with their search paths and working directory.
  - The command reaches its shell by a pipe. It stands on no command line, in no file and in no log.
  - It is ended at its time limit, also when nobody waits for it any more, and leaves no unit behind.
options:
  app: {description: "The app's name.", type: str, required: true}
  command: {description: "What sh runs.", type: str, required: true}
  seconds: {description: "The time limit.", type: int, required: true}
author: [Slipway]
"""

RETURN = r"""
# Not "rc": newer versions of ansible-core call a module failed that returns one other than 0.
exit_status:
  description: The command's exit status; 255 where a signal ended it.
  type: int
  returned: when it was run
stdout: {description: "What it printed, of much the end.", type: str, returned: when it was run}
stderr: {description: "What it printed as errors, of much the end.", type: str, returned: when it was run}
problem: {description: "Why it was not run, or not to its end; empty otherwise.", type: str, returned: always}
"""

import os
import secrets
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO

from ansible.module_utils.basic import AnsibleModule

KEPT = 1 << 20
# The first line is a guard: without the sandbox the release's name is not in the environment.
SCRIPT = """[ "${{SLIPWAY_RELEASE:-}}" = {release} ] || {{ echo "slipway: the sandbox is not there" >&2; exit 78; }}
{head}exec </dev/null
{command}
"""


class Tail(threading.Thread):
    """Reads a pipe to its end and keeps the last bytes."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.pipe, self.kept, self.dropped = pipe, bytearray(), 0
        self.start()

    def run(self) -> None:
        """Read."""
        while chunk := os.read(self.pipe.fileno(), 65536):
            self.kept += chunk
            if len(self.kept) > 2 * KEPT:
                self.dropped += len(self.kept) - KEPT
                del self.kept[:-KEPT]

    def text(self) -> str:
        """Return what was kept."""
        self.join()
        head = f"[the first {self.dropped} bytes are left out]\n" if self.dropped else ""
        return head + self.kept.decode("utf-8", "replace")


def environment_of(launcher: str) -> str:
    """Return the lines of a release's launcher that set up its environment: all before the command itself."""
    lines = launcher.splitlines()[1:]
    count = next((number for number, line in enumerate(lines) if not line.startswith(("export ", "cd "))), len(lines))
    return "".join(line + "\n" for line in lines[:count])


class Run:
    """One command on this machine."""

    def __init__(self, app: str, release: str, seconds: int) -> None:
        self.app, self.release, self.seconds = app, release, seconds
        self.unit = f"{app}.run-{secrets.token_hex(4)}@{release}.service"

    def arguments(self) -> list[str]:
        """Return how systemd is asked; the limit holds too where this process is killed before it is over."""
        return [
            "systemd-run",
            "--quiet",
            "--pipe",
            "--wait",
            "--collect",
            f"--unit={self.unit}",
            f"--description={self.app}: a one-off command in the release {self.release}",
            f"--property=User={self.app}",
            f"--property=RuntimeMaxSec={self.seconds + 15}",
            "/bin/sh",
            "-c",
            'eval "$(cat)"',
        ]

    def stop(self) -> None:
        """End the command and all that it started."""
        subprocess.run(["systemctl", "stop", self.unit], capture_output=True)

    def __call__(self, script: str) -> dict:
        """Run a script and wait for its end."""
        # A run of Ansible may have been killed after it wrote the sandbox and before systemd read it.
        subprocess.run(["systemctl", "daemon-reload"], check=True, capture_output=True)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process, problem = subprocess.Popen(self.arguments(), **pipes), ""
        output, errors = Tail(process.stdout), Tail(process.stderr)
        try:
            try:
                process.stdin.write(script.encode("utf-8", "surrogateescape"))
                process.stdin.close()
            except BrokenPipeError:
                pass  # it ended before it read all; its status tells
            process.wait(timeout=self.seconds)
        except subprocess.TimeoutExpired:
            problem = f"it did not end within {self.seconds} s and was stopped"
        finally:
            # Also where systemd-run is gone and its unit is not; otherwise there is nothing to stop any more.
            self.stop()
        return {"exit_status": process.wait(), "stdout": output.text(), "stderr": errors.text(), "problem": problem}


def refusal(app: str, release: str, command: str) -> str:
    """Return why a command cannot be run on this machine, or ""."""
    if not release or not (Path("/srv") / app / "releases" / release / "bin/web").exists():
        return f"no release of {app} is live on this machine; deploy first"
    if not list(Path("/etc/systemd/system").glob(f"{app}.run-@.service.d/*.conf")):
        return "this machine was provisioned by an older version; run playbooks/provision.yml first"
    if "\0" in command:
        return "the command has a NUL byte in it"
    return ""


def _end(number: int, _frame: object) -> None:
    """Turn a signal into an exception, so that the command is ended too."""
    raise SystemExit(128 + number)


def main() -> None:
    """See DOCUMENTATION."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "command": {"type": "str", "required": True},
            "seconds": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    app, command = module.params["app"], module.params["command"]
    try:
        release = Path(os.readlink(Path("/srv") / app / "current")).name
    except OSError:
        release = ""
    problem = refusal(app, release, command)
    if problem or module.check_mode:
        module.exit_json(changed=not problem, release=release, problem=problem)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _end)
    head = environment_of((Path("/srv") / app / "releases" / release / "bin/web").read_text())
    done = Run(app, release, module.params["seconds"])(SCRIPT.format(release=release, head=head, command=command))
    module.exit_json(changed=True, release=release, **done)


if __name__ == "__main__":
    main()
