"""The operation that is under way on an app, seen from outside of its process."""

from __future__ import annotations

import json
import time

from . import host, recovery

ENDS = ("done", "failed")
# What only retires the release before, or is about to exit, is waited for.
_FINISHING_SECONDS = 120


def _is_up(unit: str) -> bool:
    """Say whether a process of a unit runs, or is about to."""
    said = host.systemctl("is-active", unit, check=False).stdout.strip()
    return said in ("active", "activating", "deactivating", "reloading")


class Progress:
    """What the process of an app's operation says of itself, and what systemd says of it."""

    def __init__(self, app: str) -> None:
        self.app, self.unit = app, f"{app}-deploy.service"
        self.directory = host.RUN / app

    def state(self) -> dict:
        """Return the progress that the process keeps; empty where there is none."""
        try:
            return json.loads((self.directory / "state.json").read_text())
        except (OSError, ValueError):
            return {}

    def running(self) -> bool:
        """Say whether such a process is up."""
        return _is_up(self.unit)

    def obstacle(self) -> str:
        """Return why no other operation may begin, or "", once one that has done its work has ended.

        What takes back an interrupted switch is waited for too.
        """
        deadline = time.monotonic() + _FINISHING_SECONDS
        while _is_up(recovery.unit(self.app)) and time.monotonic() < deadline:
            time.sleep(0.1)
        while self.running() and self.state().get("status") in ("live", *ENDS) and time.monotonic() < deadline:
            time.sleep(0.1)
        if not self.running():
            return ""
        state = self.state()
        return (
            f"{state.get('by', 'somebody')} is at work on {self.app} since {state.get('since', '?')}"
            f" ({state.get('operation', 'deploy')} of release {state.get('id', '?')}, step {state.get('step', '?')})."
            " Wait until that has ended, then run again."
        )
