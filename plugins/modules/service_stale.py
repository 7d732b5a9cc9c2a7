#!/usr/bin/python
"""Tell whether a unit still runs on an older configuration than the one on disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_stale
short_description: Notice a configuration that a running unit has not read
description:
  - Ansible that is killed between a changed file and its handler leaves a daemon that runs the old
    configuration, and the next run finds every file as it should be. This module looks at both.
  - A unit is stale when a file was changed after the unit was started, and the files are not those that
    the handler last recorded with I(state=loaded).
  - A unit that is not active is not stale. Starting it reads the files.
options:
  unit:
    description: The systemd unit, with its suffix.
    type: str
    required: true
  paths:
    description: Files, and directories with all that is in them. A path that does not exist is no file.
    type: list
    elements: path
    required: true
  state:
    description:
      - C(checked) reports C(changed) when the unit is stale. Notify the unit's handler with it.
      - C(loaded) records that the unit has read the files. The handler ends with it.
    type: str
    choices: [checked, loaded]
    default: checked
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Notice a configuration that nginx has not read
  service_stale:
    unit: nginx.service
    paths: [/etc/nginx]
  notify: Reload nginx
"""

RETURN = r"""
newest:
  description: The path that was changed last, empty when there is none.
  type: str
  returned: always
"""

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

STAMPS = Path("/run/slipway")


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


def active_since(unit: str) -> int | None:
    """When the unit was started, or None when it is not active."""
    command = ["systemctl", "show", unit, "--timestamp=us+utc", "--property=ActiveState,ActiveEnterTimestamp"]
    try:
        shown = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        return None
    values = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    if values.get("ActiveState") not in ("active", "reloading"):
        return None
    return parse_timestamp(values.get("ActiveEnterTimestamp", ""))


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


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "paths": {"type": "list", "elements": "path", "required": True},
            "state": {"type": "str", "choices": ["checked", "loaded"], "default": "checked"},
        },
        supports_check_mode=True,
    )
    unit = module.params["unit"]
    files = files_below(module.params["paths"])
    newest = str(max(files, key=changed_at, default=""))
    stamp = STAMPS / f"{unit}.loaded"
    if module.params["state"] == "checked":
        started = active_since(unit)
        module.exit_json(changed=is_stale(files, started, recorded_since(stamp, started)), newest=newest)
    if not module.check_mode:
        STAMPS.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = stamp.with_suffix(".new")
        fresh.write_text(fingerprint(files))
        fresh.replace(stamp)
    module.exit_json(changed=False, newest=newest)


if __name__ == "__main__":
    main()
