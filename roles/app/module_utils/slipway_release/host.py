"""The machine below a release: systemd's units, files and sockets."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
from pathlib import Path

UNITS = Path("/etc/systemd/system")
ROOT = Path("/srv")
RUN = Path("/run/slipway")
# Before the names of units that run by the clock; no process of an app can have such a name.
CLOCK = "at"


class Failure(Exception):
    """A step did not succeed: ``step`` and ``reason`` in words, ``log`` the last lines of what it printed."""

    def __init__(self, step: str, reason: str, log: list[str] | None = None) -> None:
        super().__init__(f"{step}: {reason}")
        self.step, self.reason, self.log = step, reason, log or []


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def systemctl(*words: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run systemctl; CalledProcessError where it fails and ``check`` is set."""
    return subprocess.run(["systemctl", *words], check=check, capture_output=True, text=True)


def active(*units: str) -> bool:
    """Say whether all of some units are up."""
    return systemctl("is-active", *units, check=False).stdout.split() == ["active"] * len(units)


def belongs(unit: str, app: str, directory: Path | None = None) -> bool:
    """Say whether an instance of a template unit is an app's own, and not of one whose name only begins alike."""
    template, _at, rest = unit.partition("@")
    try:
        text = ((directory or UNITS) / f"{template}@.{rest.rpartition('.')[2]}").read_text()
    except OSError:
        return False
    return f"{ROOT}/{app}/releases/" in text


def enable(*units: str, check: bool = True) -> None:
    """Have units started at the next boot. systemd need not read all of its units anew for that."""
    systemctl("enable", "--quiet", "--no-reload", *units, check=check)


def disable(*units: str) -> None:
    """Have units not started at the next boot any more, whether they were or not."""
    systemctl("disable", "--quiet", "--no-reload", *units, check=False)


def instances(app: str, *states: str) -> dict[str, str]:
    """Return the units that run releases of an app, enabled ones included, and the release each belongs to.

    What runs by the clock is not among them: it ends by itself, also in a release that is live no more.
    """
    listed = systemctl("list-units", "--all", "--plain", "--no-legend", *states, f"{app}-*@*", check=False).stdout
    units = {line.split()[0] for line in listed.splitlines() if line.strip()}
    if not states:
        # What begins at the next boot: systemctl lists enabled templates, and no instances of them.
        units |= {link.name for link in UNITS.glob(f"*.wants/{app}-*@*")}
    found = {}
    for unit in units:
        match = re.fullmatch(re.escape(app) + r"-[a-z][a-z0-9.-]*@([0-9a-f]{12})\.(?:socket|service)", unit)
        if match and not unit.startswith(f"{app}-{CLOCK}.") and belongs(unit, app):
            found[unit] = match.group(1)
    return found


def sockets(app: str) -> set[str]:
    """Return the releases of an app whose socket is there, open or left over."""
    return {file.parent.name for file in (ROOT / app).glob("releases/*/web.sock")}


def waiting(path: Path) -> int:
    """Return how many connections wait to be accepted on a Unix socket."""
    done = subprocess.run(["ss", "--no-header", "--listening", "--unix"], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) > 4 and words[4] == str(path):
            return int(words[2])
    return 0


def own(top: Path, group: int) -> None:
    """Give a tree to root and a group: the app may read and run it, nobody else may look."""
    for folder, _folders, names in os.walk(top):
        os.chown(folder, 0, group)
        os.chmod(folder, 0o750)
        for name in names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if status.st_uid or status.st_gid != group:
                os.chown(path, 0, group, follow_symlinks=False)
            mode = 0o750 if status.st_mode & 0o100 else 0o640
            if not os.path.islink(path) and status.st_mode & 0o7777 != mode:
                os.chmod(path, mode)


def write(path: Path, text: str, mode: int, group: int = 0) -> None:
    """Write a file of root and a group, never readable by more than it ends with, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
    os.chown(part, 0, group)
    part.chmod(mode)
    part.rename(path)


def half_written(root: Path) -> list[Path]:
    """Return what an interrupted operation has left below an app's directory; in shared all is the app's own."""
    return [part for part in root.glob("*/*.part") if part.parent.name != "shared"]


def install(file: Path, content: bytes) -> None:
    """Put a program where systemd runs it from; one that runs goes on with what it has."""
    if file.exists() and file.read_bytes() == content:
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.write_bytes(content)
    os.chown(part, 0, 0)
    part.chmod(0o755)
    part.rename(file)
