"""The machine below a release: systemd's units, files and sockets."""

from __future__ import annotations

import datetime
import math
import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from . import durable

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


def seconds(shown: str) -> float:
    """Return a time span that systemd shows ("1min 30s") in seconds; infinity for one without an end, or unknown."""
    factors = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
    parts = re.findall(r"([0-9.]+)([a-z]+)", shown)
    if not parts or any(unit not in factors for _number, unit in parts):
        return math.inf
    return sum(float(number) * factors[unit] for number, unit in parts)


def limit(units: tuple[str, ...], of: str) -> float:
    """Return the longest time that some units have to start or to stop, in seconds (``of``: Start or Stop)."""
    shown = systemctl("show", f"--property=Timeout{of}USec", "--value", *units, check=False).stdout.split("\n")
    return max((seconds(line) for line in shown if line.strip()), default=math.inf)


def start(*units: str) -> bool:
    """Start units, and kill those that take longer than their own limit; True where all are up.

    A process of a unit may tell systemd to wait longer (EXTEND_TIMEOUT_USEC, sd_notify(3)). It is not for what runs in
    a unit to say how long an operation takes.
    """
    return _within("Start", "start", *units) == 0


def stop(*units: str) -> None:
    """Stop units. What is left of them at their own time limit is killed, whatever it has asked systemd for."""
    _within("Stop", "stop", *units)


def _within(of: str, verb: str, *units: str) -> int | None:
    """Run a verb of systemctl on units, and kill them at their time limit; the exit status, None for killed ones."""
    if not units:
        return 0
    running = subprocess.Popen(["systemctl", verb, *units], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    allowed = limit(units, of)
    try:
        # systemd's own limit comes first, where it is kept.
        return running.wait(None if allowed == math.inf else allowed + 2)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(units)} did not {verb} within {allowed:g} s and is killed", flush=True)
    if verb == "start":
        systemctl("stop", "--no-block", *units, check=False)
    for _ in range(50):
        # What a process has forked meanwhile comes to its end by the next signal.
        systemctl("kill", "--kill-whom=all", "--signal=KILL", *units, check=False)
        try:
            running.wait(0.2)
            return None
        except subprocess.TimeoutExpired:
            continue
    running.kill()
    running.wait()
    return None


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
    _sync_wants()


def disable(*units: str) -> None:
    """Have units not started at the next boot any more, whether they were or not."""
    systemctl("disable", "--quiet", "--no-reload", *units, check=False)
    _sync_wants()


def _sync_wants() -> None:
    """Put on the disk what systemctl has enabled and disabled, which it does not do itself."""
    for directory in UNITS.glob("*.target.wants"):
        durable.sync(directory)


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


def run_directory(app: str) -> Path:
    """Return the directory of an app's operations in /run, made where it is missing, which root alone may look into.

    Whoever may open the lock in it could hold it, and what an operation says of itself is nobody else's business.
    """
    for directory in (RUN, RUN / app):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
    return RUN / app


def waiting(path: Path) -> int:
    """Return how many connections wait to be accepted on a Unix socket."""
    done = subprocess.run(["ss", "--no-header", "--listening", "--unix"], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) > 4 and words[4] == str(path):
            return int(words[2])
    return 0


def write(path: Path, text: str, mode: int, group: int = 0, lasting: bool = True) -> None:
    """Write a file of root and a group, never readable by more than it ends with, whole or not at all.

    It is on the disk when this returns, unless ``lasting`` is False: then whoever finishes the directory sees to that.
    """
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
    os.chown(part, 0, group)
    part.chmod(mode)
    durable.publish_file(part, path) if lasting else part.rename(path)


def shipped(root: Path, request: dict, old_seconds: float = 3600) -> list[Path]:
    """Return what was shipped for a request, and what was shipped so long ago that nobody waits for it any more.

    The rest belongs to somebody who is shipping at this moment, and is told only later whether he may begin.
    """
    names = [archive["name"] for archive in (request.get("archives") or {}).values()]
    names.append(f"{request.get('manifest', {}).get('id', '')}.env")
    since, found = time.time() - old_seconds, []
    for file in (root / "incoming").glob("*"):
        with suppress(FileNotFoundError):
            if file.name.removesuffix(".part") in names or file.lstat().st_mtime < since:
                found.append(file)
    return found


def half_written(root: Path) -> list[Path]:
    """Return what an interrupted operation has left below an app's directory.

    In shared all is the app's own, and in incoming it may be somebody's who is shipping: see shipped().
    """
    return [part for part in root.glob("*/*.part") if part.parent.name not in ("shared", "incoming")]


def install(file: Path, content: bytes) -> None:
    """Put a program where systemd runs it from; one that runs goes on with what it has."""
    if file.exists() and file.read_bytes() == content:
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.write_bytes(content)
    os.chown(part, 0, 0)
    part.chmod(0o755)
    durable.publish_file(part, file)
