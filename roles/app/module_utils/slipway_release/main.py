"""What systemd runs as APP-deploy.service, with the request's path, and as APP-recover.service: recover APP."""

from __future__ import annotations

import json
import os
import signal
import traceback

from .engine import Operation

# Exit statuses. An operation that failed has put all in order itself; one that crashed needs APP-recover.service.
FAILED = 1
CRASHED = 70


def main(arguments: list[str]) -> int:
    """Carry out a request; 0 where the release is live in the end, or an interrupted switch is taken back."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o022)
    try:
        return 0 if _succeeds(arguments) else FAILED
    except Exception:
        traceback.print_exc()
        return CRASHED


def _succeeds(arguments: list[str]) -> bool:
    if arguments[1] == "recover":
        return Operation({"app": arguments[2], "operation": "recover", "by": "systemd"}).recover()
    with open(arguments[1]) as file:
        return Operation(json.load(file)).run()
