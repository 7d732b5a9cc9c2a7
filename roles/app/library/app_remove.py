#!/usr/bin/python
"""Stop an app on a machine, and take away all that its releases left there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_remove
short_description: Stop an app on a machine, or take away all that its releases left there
description:
  - C(stopped) stops and disables every unit of the app's releases; C(absent) also removes the units, /srv/APP and
    /run/slipway/APP. Units of another app whose name begins alike are left alone.
  - Before C(absent) removes /srv/APP/shared, what the app has written there is put into an archive, links as links.
  - Refuses while an operation on the app runs. One that has done its work and only ends is waited for.
options:
  app: {description: "The app's name.", type: str, required: true}
  state: {description: "What to do.", type: str, choices: [stopped, absent], required: true}
  backups: {description: "The directory for the archive of what the app has written (absent).", type: path}
author: [Slipway]
"""

import os
import shutil
import tarfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.slipway_release import durable, host, trees
from ansible.module_utils.slipway_release.progress import Progress

_KINDS = ("service", "socket", "timer")


def own_units(app: str) -> dict[str, Path]:
    """Return the app's unit files by name: those that speak of its directory, and the timers of such services."""
    found = {}
    for kind in _KINDS:
        for file in host.UNITS.glob(f"{app}-*.{kind}"):
            speaks = file.with_suffix(".service") if kind == "timer" else file
            if speaks.exists() and f"{host.ROOT}/{app}/" in speaks.read_text():
                found[file.name] = file
    return found


def stop(app: str, files: dict[str, Path]) -> list[str]:
    """Stop and disable everything that runs of the app, sockets and timers before services; return what was up."""
    found = set(host.instances(app)) | {name for name in files if "@" not in name}
    # What runs by the clock, and one-off commands, whose names no other app's can begin like.
    others = host.systemctl(
        "list-units", "--plain", "--no-legend", f"{app}-{host.CLOCK}.*@*", f"{app}.run-*", check=False
    )
    found |= {line.split()[0] for line in others.stdout.splitlines() if line.strip()}
    stopped = []
    for unit in sorted(found, key=lambda name: name.endswith(".service")):
        enabled = host.systemctl("is-enabled", "--quiet", unit, check=False).returncode == 0
        if enabled or host.active(unit):
            stopped.append(unit)
        host.systemctl("disable", unit, check=False)
        host.stop(unit)
        host.systemctl("reset-failed", unit, check=False)
    return stopped


def back_up(app: str, directory: Path) -> list[str]:
    """Put what an app has written into an archive that root alone reads; return what cannot be in one (sockets).

    Raises OSError where it cannot be written, and tarfile.TarError where it is not read back whole.
    """
    shared = host.ROOT / app / "shared"
    if not shared.is_dir() or not any(shared.iterdir()):
        return []
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    whole = directory / f"{app}-shared-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar.gz"
    part = whole.with_name(whole.name + ".part")
    with (
        open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
        tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive,
    ):
        left_out = trees.pack(shared, archive, "shared")
    with tarfile.open(part) as archive:
        for _member in archive:
            pass
    durable.publish_file(part, whole)
    return left_out


def main() -> None:
    """See DOCUMENTATION."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["stopped", "absent"], "required": True},
            "backups": {"type": "path"},
        },
        required_if=[("state", "absent", ["backups"])],
        supports_check_mode=True,
    )
    app = module.params["app"]
    if obstacle := Progress(app).obstacle():
        module.fail_json(msg=obstacle)
    files = own_units(app)
    kept = (host.ROOT / app, host.RUN / app, host.UNITS / f"{app}.run-@.service.d")
    directories = [path for path in kept if path.exists()]
    if module.check_mode:
        module.exit_json(changed=bool(directories or files))
    changed = bool(stop(app, files))
    if module.params["state"] == "absent":
        changed = changed or bool(directories or files)
        try:
            left_out = back_up(app, Path(module.params["backups"]))
        except (OSError, tarfile.TarError) as error:
            shared = host.ROOT / app / "shared"
            module.fail_json(msg=f"{shared} could not be backed up, so none of the app's files was removed: {error}")
        if left_out:
            module.warn(f"No file, and so not in the backup of {app}: {', '.join(left_out)}")
        for file in files.values():
            file.unlink()
        host.systemctl("daemon-reload")
        # Last of all: until it is gone, running again finds what there is left to do.
        for directory in reversed(directories):
            shutil.rmtree(directory)
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
