"""What goes: a release that is replaced, one that failed, what an interrupted run left, and what is too old."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import history, host
from .host import systemctl
from .release import Release

if TYPE_CHECKING:
    from .engine import Operation


def tidy(operation: Operation) -> None:
    """Stop what an interrupted run left behind: units and directories that belong to no live release."""
    operation.step("tidy")
    if clear_parts(operation):
        operation.tell(changed=True)
    keep = {operation.old.name, warm(operation)} if operation.old else set()
    found = host.instances(operation.app)
    sockets = host.sockets(operation.app)
    for stale in sorted(({*found.values()} | sockets) - keep):
        units = [unit for unit in found if found[unit] == stale]
        if stale in sockets or any(map(up, units)):
            operation.tell(changed=True)
            stop(operation, Release(operation.app, stale))


def up(unit: str) -> bool:
    """Say whether a unit runs, failed, or would run after a reboot; one that is only known to systemd is not up."""
    if systemctl("is-enabled", "--quiet", unit, check=False).returncode == 0:
        return True
    return systemctl("is-active", unit, check=False).stdout.strip() != "inactive"


def clear_parts(operation: Operation) -> bool:
    """Remove what was half written; say whether there was any."""
    parts = host.half_written(operation.root)
    for part in parts:
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
    return bool(parts)


def clear_incoming(operation: Operation) -> None:
    """Remove what was shipped for this operation, and what interrupted runs have shipped in vain."""
    for file in host.shipped(operation.root, operation.request):
        file.unlink(missing_ok=True)
        operation.tell(changed=True)


def retire(operation: Operation) -> None:
    """Let the old release answer what it already has, then stop it: first its socket, then its service."""
    operation.step("retire")
    if operation.old and operation.replaces:
        drain(operation.old)
    # The one that is gone stays up where the inventory wants it warm, and the one that was warm before goes.
    kept_warm = history.predecessor(operation.lines, operation.release.name) if operation.request.get("warm") else ""
    for stale in sorted({*host.instances(operation.app).values()} - {operation.release.name, kept_warm}):
        stop(operation, Release(operation.app, stale))
    if kept_warm:
        host.disable(*Release(operation.app, kept_warm).units())


def drain(release: Release) -> None:
    """Wait until no connection waits in a release's accept queue."""
    time.sleep(0.2)  # an nginx worker that resolved the old link a moment ago still connects
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and host.waiting(release.socket):
        time.sleep(0.1)


def stop(operation: Operation, release: Release) -> None:
    """Stop a release; requests that it is answering are finished by gunicorn's graceful time-out."""
    found = host.instances(operation.app)
    services = sorted(unit for unit in found if found[unit] == release.name and unit != release.socket_unit)
    host.disable(release.socket_unit, *services)
    # The socket first: the next connection would start the service again.
    systemctl("stop", release.socket_unit, check=False)
    host.stop(*services)
    systemctl("reset-failed", release.socket_unit, *services, check=False)
    release.socket.unlink(missing_ok=True)


def prune_logs(directory: Path, number: int = 50) -> None:
    """Keep the newest logs of migrations alone: a name for each release would fill the disk in the end."""
    logs = sorted(directory.glob("migrate-*.log"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in logs[number:]:
        file.unlink()


def warm(operation: Operation) -> str:
    """Return the release that is kept up beside the live one, or ""."""
    return (
        history.predecessor(operation.lines, operation.old.name)
        if operation.request.get("warm") and operation.old
        else ""
    )


def keeping(operation: Operation, number: int) -> list[str]:
    """Return the names of the releases that stay."""
    return history.kept(operation.lines, (operation.live() or operation.release).name, number)


def prune(operation: Operation) -> None:
    """Remove all but the newest releases that went live, and dependencies that none of them shares."""
    operation.step("prune")
    keep = keeping(operation, operation.request["keep"])
    for directory in (operation.root / "releases").iterdir():
        if directory.name not in keep:
            shutil.rmtree(directory, ignore_errors=True)
    clear_incoming(operation)
    prune_logs(operation.root / "log")
    shared = {Release(operation.app, name).manifest.get("dependencies", "") for name in keep}
    for directory in (operation.root / "cache").iterdir():
        if directory.name not in shared:
            shutil.rmtree(directory, ignore_errors=True)
