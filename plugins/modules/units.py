"""Settle several systemd units at once: enabled, started, and whether they run what is on disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: units
short_description: Enable and start systemd units, and notice those that run on an older configuration
description:
  - Ansible that is killed between a changed file and its handler leaves a daemon that runs the old
    configuration, and the next run finds every file as it should be. This module looks at both.
  - A unit is stale when one of its files was changed after the unit was started, and the files are not those that
    were last recorded with I(state=loaded). A unit that is not active is not stale - starting it reads the files -
    unless I(required) is set.
  - systemd reads its own files again where a unit of the list needs it.
options:
  units:
    description: The units, in the order in which they are settled.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The unit, with its suffix.
        type: str
        required: true
      enabled:
        description: Whether it shall be enabled. Where nothing is said, that is left as it is.
        type: bool
      started:
        description: Whether it shall be started where it is not active.
        type: bool
        default: false
      paths:
        description:
          - Files, and directories with all that is in them, that the unit has to have read. A path that does not exist
            is no file.
        type: list
        elements: path
        default: []
      topic:
        description: What the unit is called in I(stale); its name where nothing is said.
        type: str
      required:
        description: Whether it is stale too where it is not active.
        type: bool
        default: false
  state:
    description:
      - C(settled) enables, starts and looks. It reports C(changed) when it did something, or when a unit is stale.
      - C(loaded) records that the units have read their files. What makes them read ends with it.
    type: str
    choices: [settled, loaded]
    default: settled
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: See that nginx runs what is on disk
  units:
    units:
      - {name: nginx.service, enabled: true, started: true, paths: [/etc/nginx]}
  register: units
  notify: Reload nginx
"""

RETURN = r"""
stale:
  description: The topics of the units that have not read what is on disk.
  type: list
  elements: str
  returned: always
done:
  description: What was done to which unit.
  type: list
  elements: str
  returned: always
"""

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.basic import AnsibleModule

STAMPS = Path("/run/slipway")
SHOWN = "Id,Names,LoadState,ActiveState,ActiveEnterTimestamp,NeedDaemonReload,UnitFileState"


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


class Settled(NamedTuple):
    """What came of one unit."""

    done: list[str]
    stale: bool


class Units:
    """The units of one call, and what systemd says of them."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.wanted: list[dict] = module.params["units"]
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

    def settle(self, wanted: dict, now: dict[str, str]) -> Settled:
        """Enable and start it where that is wanted and is not so, or see whether it is stale."""
        name, done = wanted["name"], []
        is_enabled = now.get("UnitFileState") in ("enabled", "enabled-runtime")
        if wanted["enabled"] is not None and wanted["enabled"] != is_enabled:
            done.append("enable" if wanted["enabled"] else "disable")
        is_active = now.get("ActiveState") in ("active", "reloading")
        if wanted["started"] and not is_active:
            done.append("start")
        if not self.module.check_mode:
            for verb in done:
                self.systemctl(verb, "--", name)
        if "start" in done:
            return Settled([f"{verb} {name}" for verb in done], stale=False)
        files = files_below(wanted["paths"])
        started = active_since(now)
        stale = is_stale(files, started, recorded_since(STAMPS / f"{name}.loaded", started))
        return Settled([f"{verb} {name}" for verb in done], stale or (wanted["required"] and not is_active))

    def record(self) -> None:
        """Write down that the units have read their files."""
        STAMPS.mkdir(mode=0o755, parents=True, exist_ok=True)
        for unit in self.wanted:
            stamp = STAMPS / f"{unit['name']}.loaded"
            fresh = stamp.with_suffix(".new")
            fresh.write_text(fingerprint(files_below(unit["paths"])))
            fresh.replace(stamp)


def main() -> None:
    """Run as an Ansible module."""
    spec = {
        "name": {"type": "str", "required": True},
        "enabled": {"type": "bool"},
        "started": {"type": "bool", "default": False},
        "paths": {"type": "list", "elements": "path", "default": []},
        "topic": {"type": "str"},
        "required": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "dict", "options": spec, "required": True},
            "state": {"type": "str", "choices": ["settled", "loaded"], "default": "settled"},
        },
        supports_check_mode=True,
    )
    units = Units(module)
    if module.params["state"] == "loaded":
        if not module.check_mode:
            units.record()
        module.exit_json(changed=False, stale=[], done=[])
    units.look()
    done: list[str] = []
    stale: list[str] = []
    for wanted, now in zip(units.wanted, units.now, strict=True):
        settled = units.settle(wanted, now)
        done += settled.done
        if settled.stale:
            stale.append(wanted["topic"] or wanted["name"])
    module.exit_json(changed=bool(done or stale), stale=stale, done=done)


if __name__ == "__main__":
    main()
