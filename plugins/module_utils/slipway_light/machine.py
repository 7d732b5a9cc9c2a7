"""The machine's side of a light module: what it has instead of an AnsibleModule, without what takes long to start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import syslog
import tempfile
from typing import NoReturn


class Module:
    """One run of a light module, and as much of an AnsibleModule as these modules have use for.

    ``params`` are its arguments, which the control node has validated; ``check_mode`` says that nothing may be changed.
    """

    def __init__(self, name: str, params: dict, check_mode: bool) -> None:
        self.name, self.params, self.check_mode = name, params, check_mode
        self._warnings: list[str] = []
        self._directory = ""

    @property
    def tmpdir(self) -> str:
        """A directory of this run alone, which is gone when it ends."""
        self._directory = self._directory or tempfile.mkdtemp(prefix="slipway-")
        return self._directory

    def log(self, message: str) -> None:
        """Write a line into the machine's log."""
        syslog.openlog(f"ansible-{self.name}", 0, syslog.LOG_USER)
        syslog.syslog(syslog.LOG_INFO, message)

    def warn(self, message: str) -> None:
        """Have the person in front see a warning."""
        self._warnings.append(message)

    def run_command(
        self,
        command: list[str],
        check_rc: bool = False,
        environ_update: dict[str, str] | None = None,
        handle_exceptions: bool = True,
    ) -> tuple[int, str, str]:
        """Run a command without any input; its status and what it said.

        Ends the module where it cannot be started, or fails and ``check_rc`` is set. Raises OSError instead where it
        cannot be started and ``handle_exceptions`` is not set.
        """
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        try:
            done = subprocess.run(
                command,
                check=False,
                env=os.environ | (environ_update or {}),
                encoding="utf-8",
                errors="surrogateescape",
                **pipes,
            )
        except OSError as error:
            if not handle_exceptions:
                raise
            self.fail_json(msg=f"{command[0]} cannot be started: {error.strerror}")
        if check_rc and done.returncode != 0:
            self.fail_json(msg=f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
        return done.returncode, done.stdout, done.stderr

    def exit_json(self, **result: object) -> NoReturn:
        """End with a result."""
        self._end(result)

    def fail_json(self, msg: str, **result: object) -> NoReturn:
        """End as failed."""
        self._end(result | {"failed": True, "msg": msg})

    def _end(self, result: dict) -> NoReturn:
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._warnings:
            result["warnings"] = self._warnings
        # In ASCII: a surrogate stands for a byte that is no text, and the control node knows it by its number.
        sys.stdout.write(f"\n{json.dumps(result)}\n")
        sys.stdout.flush()
        sys.exit(0)
