"""systemd units: enabled, started, and whether they run what is on disk."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.slipway_light.machine import Module

STAMPS = Path("/run/slipway")
SHOWN = "Id,Names,LoadState,ActiveState,ActiveEnterTimestamp,NeedDaemonReload,UnitFileState,MainPID"
RELOAD_SECONDS = 30.0


def files_below(paths: list[str]) -> list[Path]:
    """Every existing path of the list, and what is in those that are directories, in a fixed order."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += [path, *path.rglob("*")]
        elif path.exists() or path.is_symlink():
            found.append(path)
    return sorted(set(found))


def fingerprint(files: list[Path]) -> str:
    """A digest of names, modes, owners and contents: equal as long as a daemon would read the same."""
    digest = hashlib.sha256()
    for file in files:
        try:
            status = file.stat()
            content = file.read_bytes() if file.is_file() else b""
        except FileNotFoundError:  # a dangling link
            status, content = file.lstat(), os.fsencode(os.readlink(file))
        head = f"{file} {status.st_mode} {status.st_uid} {status.st_gid} {len(content)}\n"
        digest.update(os.fsencode(head) + content)
    return digest.hexdigest()


def changed_at(file: Path) -> int:
    """When file, or what it links to, was changed, in nanoseconds (ctime: nobody can set it back)."""
    times = [file.lstat().st_ctime_ns]
    if file.is_symlink() and file.exists():
        times.append(file.stat().st_ctime_ns)
    return max(times)


def parse_timestamp(text: str) -> int | None:
    """Nanoseconds since 1970 of systemd's "Sun 2026-11-22 22:12:29.123456 UTC"; None where there is none."""
    words = text.split()
    if len(words) != 4:
        return None
    moment = datetime.strptime(f"{words[1]} {words[2]}", "%Y-%m-%d %H:%M:%S.%f")
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


def shown(names: list[str]) -> list[dict[str, str]]:
    """What systemd says of each unit, in the order of the names."""
    command = ["systemctl", "show", "--timestamp=us+utc", f"--property={SHOWN}", "--", *names]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        return [{} for _ in names]
    blocks = done.stdout.split("\n\n") if done.returncode == 0 else []
    units = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return units if len(units) == len(names) else [{} for _ in names]


def active_since(unit: dict[str, str]) -> int | None:
    """When the unit was started, in nanoseconds since 1970, or None when it is not active."""
    if unit.get("ActiveState") not in ("active", "reloading"):
        return None
    return parse_timestamp(unit.get("ActiveEnterTimestamp", ""))


def recorded_since(stamp: Path, started: int | None) -> str | None:
    """The fingerprint last recorded, unless the unit was started again after that."""
    if started is None or not stamp.exists() or stamp.stat().st_mtime_ns < started:
        return None
    return stamp.read_text()


def is_stale(files: list[Path], started: int | None, recorded: str | None) -> bool:
    """Stale: active, a file is newer than the start, and the files are not those recorded as loaded."""
    if started is None or not any(changed_at(file) > started for file in files):
        return False
    return recorded != fingerprint(files)


def is_leaving(process: str) -> bool:
    """Whether a process is gone, or says in its title that it is shutting down, as nginx's workers do."""
    try:
        title = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return True
    return not title or b"shutting down" in title  # one that has ended has no title


def workers(main: str) -> set[str]:
    """The ids of the children of a process, without those that are leaving."""
    try:
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    except OSError:
        return set()
    return {child for child in children if not is_leaving(child)}


def real(unit: dict) -> dict | None:
    """The unit with its instance, which is what a link's target is called; None where that link is not there."""
    if not unit["instance_of"]:
        return unit
    link = Path(unit["instance_of"])
    if not link.is_symlink():
        return None
    return unit | {"name": unit["name"].replace("@.", f"@{Path(os.readlink(link)).name}.")}


def record(unit: dict) -> None:
    """Write down that a unit has read its files."""
    STAMPS.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = STAMPS / f"{unit['name']}.loaded"
    fresh = stamp.with_suffix(".new")
    fresh.write_text(fingerprint(files_below(unit["paths"])))
    fresh.replace(stamp)


class Outcome(NamedTuple):
    """What came of units."""

    done: list[str]
    stale: list[str]


class Units:
    """The units of one call, and what systemd says of them."""

    def __init__(self, module: Module, units: list[dict]) -> None:
        self.module = module
        self.wanted = [unit for unit in map(real, units) if unit]
        self.now: list[dict[str, str]] = []

    def look(self) -> None:
        """Ask systemd; where it has not read the newest files of its own, let it, and ask again."""
        names = [unit["name"] for unit in self.wanted]
        self.now = shown(names)
        unread = [
            unit
            for unit in self.now
            if unit.get("NeedDaemonReload") == "yes" or unit.get("LoadState") not in ("loaded", None)
        ]
        if unread and not self.module.check_mode:
            self.systemctl("daemon-reload")
            self.now = shown(names)

    def systemctl(self, *words: str) -> None:
        """Run it, or end the module with what it said."""
        status, out, err = self.module.run_command(["systemctl", *words])
        if status != 0:
            self.module.fail_json(msg=f"systemctl {' '.join(words)} failed: {(err or out).strip()}")

    def is_probed(self, unit: dict) -> bool:
        """Whether the unit's own question is answered with yes."""
        if not unit["probe"]:
            return True
        try:
            status, _, _ = self.module.run_command(unit["probe"], handle_exceptions=False)
        except OSError:
            return False
        return status == 0

    def is_stale(self, wanted: dict, now: dict[str, str]) -> bool:
        """Whether it has not read what is on disk."""
        is_active = now.get("ActiveState") in ("active", "reloading")
        files, started = files_below(wanted["paths"]), active_since(now)
        recorded = recorded_since(STAMPS / f"{wanted['name']}.loaded", started)
        missing = wanted["required"] and not is_active
        return is_stale(files, started, recorded) or missing or not self.is_probed(wanted)

    def settle_one(self, wanted: dict, now: dict[str, str]) -> Outcome:
        """Enable and start it where that is wanted and is not so, or see whether it is stale, and act on that."""
        name, done = wanted["name"], []
        is_enabled = now.get("UnitFileState") in ("enabled", "enabled-runtime")
        if wanted["enabled"] is not None and wanted["enabled"] != is_enabled:
            done.append("enable" if wanted["enabled"] else "disable")
        if wanted["started"] and now.get("ActiveState") not in ("active", "reloading"):
            done.append("start")
        stale = "start" not in done and self.is_stale(wanted, now)
        acts = stale and bool(wanted["when_stale"])
        if acts:
            done.append(wanted["when_stale"])
        said = [f"{verb} {name}" for verb in done]
        if self.module.check_mode:
            return Outcome(said, [wanted["topic"] or name] if stale else [])
        if acts:
            self.judge(wanted)
        for verb in done:
            if verb == "reload" and wanted["reload_log"]:
                self.reload(wanted, now)
            else:
                self.systemctl(verb, "--", name)
        if acts:
            record(wanted)
        return Outcome(said, [wanted["topic"] or name] if stale and not acts else [])

    def judge(self, unit: dict) -> None:
        """Ask the unit's own judge about what is on disk; end the module with what it says against it."""
        if unit["judge"]:
            status, out, err = self.module.run_command(unit["judge"])
            if status != 0:
                what = f"{unit['name']} goes on with what it has read before, for {' '.join(unit['judge'])} says"
                self.module.fail_json(msg=f"{what}: {(err or out).strip()}")

    def reload(self, unit: dict, now: dict[str, str]) -> None:
        """Let it read its files and wait until its workers are others; where they stay, end the module with its log.

        systemctl returns before nginx has done so, and with success also where nginx then keeps what it has.
        """
        log, main = Path(unit["reload_log"]), now.get("MainPID", "0")
        before, read = workers(main), log.stat().st_size if log.exists() else 0
        self.systemctl("reload", "--", unit["name"])
        deadline = time.monotonic() + RELOAD_SECONDS
        while before & workers(main):
            if time.monotonic() > deadline:
                said = log.read_bytes()[read:].decode(errors="replace") if log.exists() else ""
                what = f"{unit['name']} was reloaded and goes on with what it has read before. {log} says"
                self.module.fail_json(msg=f"{what}: {said.strip()[-2000:]}")
            time.sleep(0.02)

    def settle(self) -> Outcome:
        """Settle all in their order."""
        self.look()
        outcomes = [self.settle_one(*pair) for pair in zip(self.wanted, self.now, strict=True)]
        return Outcome(
            [line for outcome in outcomes for line in outcome.done],
            [topic for outcome in outcomes for topic in outcome.stale],
        )

    def record(self) -> None:
        """Write down that the units have read their files."""
        for unit in self.wanted:
            record(unit)
