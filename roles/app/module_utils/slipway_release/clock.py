"""Processes of an app that run by the clock, in whichever release is live and never twice at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import host, units
from .host import systemctl
from .release import Release

if TYPE_CHECKING:
    from .engine import Operation


def schedule(operation: Operation, release: Release) -> None:
    """Set the timers of a release's scheduled processes, and take away those that it does not have."""
    stem = f"{operation.app}-{host.CLOCK}."
    wanted = release.manifest.get("scheduled", {}) if operation.request.get("runs_clocks") else {}
    there = {file.name.removeprefix(stem).removesuffix(".timer") for file in host.UNITS.glob(f"{stem}*.timer")}
    for process in sorted(there - set(wanted)):
        host.disable(f"{stem}{process}.timer")
        systemctl("stop", f"{stem}{process}.timer", check=False)
        for kind in (".timer", ".service", "@.service"):
            (host.UNITS / f"{stem}{process}{kind}").unlink(missing_ok=True)
    for process, entry in wanted.items():
        operation.step(f"schedule {process}")
        units.write(operation, f"{host.CLOCK}.{process}", f"{host.CLOCK}.{process}", "oneshot")
        for kind, text in texts(operation, process, entry["calendars"]).items():
            host.write(host.UNITS / f"{stem}{process}{kind}", text, 0o644)
    if there or wanted:
        systemctl("daemon-reload")
    for process in wanted:
        host.enable(f"{stem}{process}.timer")
        systemctl("restart", f"{stem}{process}.timer")


def texts(operation: Operation, process: str, calendars: list[str]) -> dict[str, str]:
    """Return the texts of a scheduled process's timer, and of the service that it starts.

    The service waits for the run in the release that was live when it began, and systemd starts no unit that is up:
    that is what keeps two runs from going on at once, also over a switch.
    """
    unit = f"{operation.app}-{host.CLOCK}.{process}"
    # $$ is a dollar for systemd.
    live = f'$$(basename "$$(readlink {operation.current})")'
    head = f"[Unit]\nDescription={operation.app}: {process}, by the clock\n\n"
    events = "".join(f"OnCalendar={event}\n" for event in calendars)
    start = f"/bin/sh -c 'exec systemctl start \"{unit}@{live}.service\"'"
    return {
        ".service": f"{head}[Service]\nType=oneshot\nExecStart={start}\n",
        ".timer": f"{head}[Timer]\n{events}AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n",
    }
