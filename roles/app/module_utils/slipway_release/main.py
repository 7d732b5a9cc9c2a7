"""What systemd runs as APP-deploy.service: the request's path is the only argument."""

from __future__ import annotations

import json
import os
import signal

from .engine import Operation


def main(arguments: list[str]) -> int:
    """Carry out a request; 0 where the release is live in the end."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o022)
    with open(arguments[1]) as file:
        request = json.load(file)
    return 0 if Operation(request).run() else 1
