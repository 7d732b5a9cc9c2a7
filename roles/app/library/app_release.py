#!/usr/bin/python
"""Start, follow and steer the process that takes a release live on a machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_release
short_description: Start, follow and steer the deploy process of an app on a machine
description:
  - C(query) tells which release is live and what of a release the machine already has.
  - C(start) hands a request to /srv/APP/bin/slipway-release, which systemd runs as APP-deploy.service, and waits until
    the new release is healthy, live or failed. C(go) and C(abort) say the word that it waits for.
    C(discard) removes what was shipped for a deploy that never began.
  - A second deploy at the same time is refused, and told who deploys since when.
options:
  app: {description: "The app's name.", type: str, required: true}
  state: {description: "What to do.", type: str, choices: [query, start, go, abort, discard], required: true}
  id: {description: "The release's id, 12 hex digits.", type: str, required: true}
  dependencies: {description: "The digest of the release's dependencies (query).", type: str, default: ""}
  request: {description: "What the deploy process is told (start).", type: dict, default: {}}
author: [Slipway]
"""

import json
import os
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

UNITS = Path("/etc/systemd/system")
_ENDS = ("done", "failed")


class Follower:
    """The deploy process of an app, seen from outside."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.app, self.id = module.params["app"], module.params["id"]
        self.root = Path("/srv") / self.app
        self.directory = Path("/run/slipway") / self.app
        self.unit = f"{self.app}-deploy.service"

    def state(self) -> dict:
        """Return the progress that the process keeps; empty where there is none."""
        try:
            return json.loads((self.directory / "state.json").read_text())
        except (OSError, ValueError):
            return {}

    def running(self) -> bool:
        """Say whether a deploy process is up."""
        done = subprocess.run(["systemctl", "is-active", self.unit], capture_output=True, text=True)
        return done.stdout.strip() in ("active", "activating", "deactivating", "reloading")

    def live(self) -> str:
        """Return the id of the live release, or ""."""
        try:
            return Path(os.readlink(self.root / "current")).name
        except OSError:
            return ""

    def query(self) -> dict:
        """Return what the machine has of the release, and whether all of it is up."""
        directory = self.root / "releases" / self.id
        manifest = directory / "manifest.json"
        units = [f"{self.app}-web@{self.id}.socket", f"{self.app}-web@{self.id}.service"]
        if manifest.exists():
            units += [f"{self.app}-{name}@{self.id}.service" for name in json.loads(manifest.read_text())["processes"]]
        states = subprocess.run(["systemctl", "is-active", *units], capture_output=True, text=True).stdout.split()
        up = states == ["active"] * len(units)
        others = [name for name in self.leftovers() if name != self.live()]
        return {
            "live": self.live(),
            "staged": manifest.exists(),
            "has_dependencies": (self.root / "cache" / (self.module.params["dependencies"] or "-")).is_dir(),
            "settled": self.live() == self.id and manifest.exists() and up and not others and not self.running(),
        }

    def leftovers(self) -> set[str]:
        """Return the ids of all releases that have a unit up, and of what an interrupted run left."""
        done = subprocess.run(
            [
                "systemctl",
                "list-units",
                "--plain",
                "--no-legend",
                "--state=active,activating,failed",
                f"{self.app}-*@*",
            ],
            capture_output=True,
            text=True,
        )
        units = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
        found = {unit.partition("@")[2].partition(".")[0] for unit in units if self.owns(unit)}
        unfinished = [
            path for kind in ("releases/*.part", "cache/*.part", "incoming/*") for path in self.root.glob(kind)
        ]
        return found | {path.name for path in unfinished}

    def owns(self, unit: str) -> bool:
        """Say whether a template's instance is this app's, and not of one whose name only begins alike."""
        template, _at, rest = unit.partition("@")
        try:
            text = (UNITS / f"{template}@.{rest.rpartition('.')[2]}").read_text()
        except OSError:
            return False
        return f"/srv/{self.app}/releases/" in text

    def start(self) -> dict:
        """Start the process and wait for its first word."""
        if self.running():
            state = self.state()
            self.module.fail_json(
                msg=f"{state.get('by', 'somebody')} is deploying {self.app} since {state.get('since', '?')}"
                f" (release {state.get('id', '?')}, step {state.get('step', '?')})."
                " Wait until it has ended, then run again."
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "state.json").unlink(missing_ok=True)
        request = self.directory / "request.json"
        with open(os.open(request, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump(self.module.params["request"], handle)
        self.module.run_command(["systemctl", "reset-failed", self.unit])
        self.module.run_command(
            [
                "systemd-run",
                "--quiet",
                "--collect",
                f"--unit={self.unit}",
                f"--description=Deploy {self.app}",
                str(self.root / "bin" / "slipway-release"),
                str(request),
            ],
            check_rc=True,
        )
        return self.wait((*_ENDS, "healthy"))

    def discard(self) -> bool:
        """Remove what was shipped for a deploy that never began here; True where there was something."""
        shipped = [] if self.running() else list(self.root.glob("incoming/*"))
        for path in shipped:
            path.unlink()
        return bool(shipped)

    def word(self, word: str) -> dict:
        """Say the word that the process waits for, and wait for its end."""
        if self.state().get("status") == "healthy" and self.running():
            (self.directory / "word.part").write_text(word)
            (self.directory / "word.part").rename(self.directory / "word")
        return self.wait(_ENDS)

    def wait(self, ends: tuple[str, ...]) -> dict:
        """Wait until the process says one of ``ends``, or is gone."""
        gone = 0
        while True:
            state = self.state()
            if state.get("status") in ends:
                return state
            gone = 0 if self.running() else gone + 1
            if gone > 5:
                state = self.state()
                if state.get("status") in ends:
                    return state
                return {
                    "status": "failed",
                    "step": state.get("step", "start"),
                    "changed": True,
                    "log": [],
                    "reason": f"the deploy process ended without a word; see journalctl -u {self.unit}",
                }
            time.sleep(0.1)


def report(app: str, state: dict) -> str:
    """Return what a failed deploy says to the person in front of it."""
    serving = state.get("serving") or state.get("previous")
    lines = [
        f"The release {state.get('id', '')} of {app} did not go live."
        f" Step: {state['step']}. Reason: {state['reason']}.",
        f"The release {serving} goes on serving." if serving else "No release is live.",
    ]
    if state.get("log"):
        lines += ["Last log lines:", *(f"  {line}" for line in state["log"])]
    return "\n".join(lines)


def main() -> None:
    """See DOCUMENTATION."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["query", "start", "go", "abort", "discard"], "required": True},
            "id": {"type": "str", "required": True},
            "dependencies": {"type": "str", "default": ""},
            "request": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    follower, wanted = Follower(module), module.params["state"]
    if wanted == "query":
        module.exit_json(changed=False, **follower.query())
    if module.check_mode:
        module.exit_json(changed=True)
    if wanted == "discard":
        module.exit_json(changed=follower.discard())
    state = follower.start() if wanted == "start" else follower.word(wanted)
    if state["status"] == "failed" and wanted != "abort":
        module.fail_json(msg=report(follower.app, state), **{key: state.get(key) for key in ("step", "reason", "log")})
    module.exit_json(
        changed=bool(state.get("changed")),
        status=state["status"],
        version=state.get("version", ""),
        release=state.get("id", ""),
        previous=state.get("previous", ""),
    )


if __name__ == "__main__":
    main()
