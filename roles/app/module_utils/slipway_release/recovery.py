"""A switch that nobody has confirmed: noted on the disk before it is made, and taken back by whoever finds the note.

The note is there from before the rename of ``current`` until the history says that the release is live. A process that
is killed in between, or a machine that loses its power, leaves it behind.
"""

from __future__ import annotations

import json
from pathlib import Path

from . import durable, history, host

_NOTE = "unconfirmed.json"


def note(root: Path, entry: dict) -> None:
    """Write down, on the disk, that an app is about to be switched: see engine.Operation.switch for what is in it."""
    host.write(root / _NOTE, json.dumps(entry, sort_keys=True), 0o600)


def clear(root: Path) -> None:
    """Remove the note: the switch is confirmed, or taken back."""
    durable.remove(root / _NOTE)


def unconfirmed(root: Path, live: str) -> dict:
    """Return the note of a switch that was made, is in force and was never confirmed; empty where there is none.

    ``live`` is the name of the release that serves now. A note that has become void is removed.
    """
    try:
        entry = json.loads((root / _NOTE).read_text())
    except (OSError, ValueError):
        entry = {}
    if entry.get("id") == live and not _confirmed(history.read(root / "history.jsonl"), entry):
        return entry
    clear(root)
    return {}


def _confirmed(lines: list[dict], entry: dict) -> bool:
    """Say whether the history has taken the release for live since the note was written."""
    return any(line["id"] == entry["id"] for line in history.went_live(lines[entry["lines"] :]))


def unit(app: str) -> str:
    """Return the name of the service that takes back an unconfirmed switch of an app."""
    return f"{app}-recover.service"


# What the service itself may do: ask systemd to start the program, in a unit of its own that is gone afterwards.
_CONFINEMENT = """UMask=0077
PrivateUsers=true
PrivateNetwork=true
ProtectSystem=strict
PrivateTmp=true
PrivateDevices=true
ProtectHome=true
ProtectProc=invisible
ProcSubset=pid
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
NoNewPrivileges=true
CapabilityBoundingSet=
LockPersonality=true
MemoryDenyWriteExecute=true
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
RestrictAddressFamilies=AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@resources @privileged
SystemCallErrorNumber=EPERM
"""


def install(app: str, program: Path) -> None:
    """Write and enable that service. systemd starts it at boot, and when a process of an operation is killed."""
    file = host.UNITS / unit(app)
    # Whose failure it is started for, where it is for one, is said on (systemd.exec(5)).
    words = "systemd-run --quiet --collect --wait $${MONITOR_UNIT:+--setenv=MONITOR_UNIT=$$MONITOR_UNIT}"
    text = (
        f"# Managed by {program}\n[Unit]\n"
        f"Description={app}: take back a switch that was interrupted before it was confirmed\n"
        "After=local-fs.target\n\n"
        f"[Service]\nType=oneshot\n"
        f"ExecStart=/bin/sh -c 'exec {words} --unit={app}-recovery.service {program} recover {app}'\n"
        f"{_CONFINEMENT}\n[Install]\nWantedBy=multi-user.target\n"
    )
    if not file.exists() or file.read_text() != text:
        host.write(file, text, 0o644)
        host.systemctl("daemon-reload")
        host.enable(unit(app))
