#!/usr/bin/python
"""Start, follow and steer the process that takes a release live on a machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_release
short_description: Start, follow and steer the process that changes which release of an app is live on a machine
description:
  - C(query) tells which release is live and what of a release the machine already has.
  - C(start) hands a request to /srv/APP/bin/slipway-release, which systemd runs as APP-deploy.service, and waits until
    the new release is healthy, live or failed, or a migration waits at the gate; then C(databases) has its SQL, and
    C(answer) hands over the C(steps) that were found in it, and waits likewise. C(go), C(keep) and C(abort) say the
    word that it waits for.
    C(discard) removes what was shipped for a request that was never begun.
  - A second operation at the same time is refused, and told who does what since when.
options:
  app: {description: "The app's name.", type: str, required: true}
  state:
    description: What to do.
    type: str
    choices: [query, start, answer, go, keep, abort, discard]
    required: true
  id: {description: "The content's id of a release, 12 hex digits (query).", type: str, default: ""}
  release: {description: "A version such as v7, or a release's name, to look up (query).", type: str, default: ""}
  dependencies: {description: "The digest of the release's dependencies (query).", type: str, default: ""}
  scale: {description: "How many of which process the machine shall run (query).", type: dict, default: {}}
  warm: {description: "Whether the release before the live one stays up (query).", type: bool, default: false}
  packages: {description: "Debian packages that may be missing (query).", type: list, elements: str, default: []}
  standing:
    description: >-
      What the machine restarts the app by when nobody is there (query), for /srv/APP/restart.json where no deploy has
      written it yet.
    type: dict
    default: {}
  request: {description: "What the process is told (start), or was to be (discard).", type: dict, default: {}}
  steps: {description: "What was found in the SQL of a migration (answer).", type: list, elements: str, default: []}
  program: {description: "The process's program, from the action plugin of the same name (start).", type: str}
author: [Slipway]
"""

import base64
import json
import os
import time
from pathlib import Path

from ansible.module_utils.slipway_light.machine import Module
from ansible.module_utils.slipway_release import cache, history, host, recovery
from ansible.module_utils.slipway_release.progress import ENDS, Progress
from ansible.module_utils.slipway_release.release import Release, scale
from ansible.module_utils.slipway_settle.packages import Packages

ARGUMENTS = {
    "app": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["query", "start", "answer", "go", "keep", "abort", "discard"],
        "required": True,
    },
    "id": {"type": "str", "default": ""},
    "release": {"type": "str", "default": ""},
    "dependencies": {"type": "str", "default": ""},
    "scale": {"type": "dict", "default": {}},
    "warm": {"type": "bool", "default": False},
    "packages": {"type": "list", "elements": "str", "default": []},
    "standing": {"type": "dict", "default": {}},
    "request": {"type": "dict", "default": {}},
    "steps": {"type": "list", "elements": "str", "default": []},
    "program": {"type": "str", "no_log": True},
}

# What of a request the machine can restart the app by when nobody is there; the rest is of the moment.
STANDING = (
    "app",
    "health_path",
    "health_timeout",
    "host",
    "watch_percent",
    "watch_errors",
    "access_log",
    "web_server_config",
    "proxy_hops",
    "waived",
    "check_timeout",
    "database_url",
    "keep",
    "assets",
    "warm",
    "runs_clocks",
    "word_timeout",
)


class Follower(Progress):
    """The process that changes an app's releases, seen from outside."""

    def __init__(self, module: Module) -> None:
        super().__init__(module.params["app"])
        self.module, self.id = module, module.params["id"]
        self.root = host.ROOT / self.app

    def live(self) -> str:
        """Return the name of the live release, or ""."""
        try:
            return Path(os.readlink(self.root / "current")).name
        except OSError:
            return ""

    def query(self) -> dict:
        """Return what the machine has of the release, and whether all of it is up."""
        lines, live = history.read(self.root / "history.jsonl"), self.live()
        release = Release(self.app, live)
        manifest = release.manifest if live else {}
        asked = self.module.params["release"]
        return {
            "live": live,
            "version": history.version_of(lines, live),
            "manifest": manifest,
            "target": history.named(lines, asked) if asked else history.predecessor(lines, live),
            "last_version": history.last_version(lines),
            "kept": [path.name for path in sorted(self.root.glob("releases/*")) if path.suffix != ".part"],
            "staged": (self.root / "releases" / (self.id or "-") / "manifest.json").exists(),
            "has_dependencies": cache.is_whole(self.root / "cache" / (self.module.params["dependencies"] or "-")),
            "missing_packages": Packages(self.module, self.module.params["packages"], 0).missing(),
            "settled": bool(manifest) and manifest.get("id") == self.id and self.settled(release, lines),
        }

    def keep_standing(self) -> bool:
        """Keep what the machine restarts the app by, where no deploy has; True where it was not there."""
        missing = self.root.is_dir() and not (self.root / "restart.json").is_file()
        if missing and self.module.params["standing"] and not self.module.check_mode:
            self.write_standing(self.module.params["standing"])
        return missing and bool(self.module.params["standing"])

    def write_standing(self, request: dict) -> None:
        """Write what of a request does not depend on the moment."""
        standing = {key: request[key] for key in STANDING if key in request} | {"watch": 0, "migrate": False}
        host.write(self.root / "restart.json", json.dumps(standing, indent=1, sort_keys=True), 0o600)

    def settled(self, release: Release, lines: list[dict]) -> bool:
        """Say whether all of the live release is up, as many of each process as asked for, and nothing else."""
        wanted = self.module.params["scale"]
        known = {file.name for file in self.root.glob("scale/*")}
        last = history.went_live(lines)[-1:]
        warm = {history.predecessor(lines, release.name)} if self.module.params["warm"] else set()
        up = {*host.instances(self.app, "--state=active,activating,failed").values(), *host.sockets(self.app)}
        return (
            all(wanted.get(process) == scale(self.app, process) for process in known | set(wanted))
            and host.active(*release.units())
            and up <= {release.name, *warm}
            and bool(last)
            and last[0]["id"] == release.name
            and not host.half_written(self.root)
            and not host.shipped(self.root, {})
            and not self.running()
        )

    def start(self) -> dict:
        """Start the process and wait for its first word."""
        if obstacle := self.obstacle():
            self.module.fail_json(msg=obstacle)
        host.install(self.root / "bin" / "slipway-release", base64.b64decode(self.module.params["program"]))
        host.run_directory(self.app)
        (self.directory / "state.json").unlink(missing_ok=True)
        request = self.directory / "request.json"
        with open(os.open(request, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump(self.module.params["request"], handle)
        if self.module.params["request"]["operation"] == "deploy":
            self.write_standing(self.module.params["request"])
        self.module.run_command(["systemctl", "reset-failed", self.unit])
        words = ["systemd-run", "--quiet", "--collect", f"--unit={self.unit}", f"--description=Deploy {self.app}"]
        # A process that is killed leaves to this service what it would have done itself: take back its switch.
        words += [f"--property=OnFailure={recovery.unit(self.app)}", "--property=SuccessExitStatus=1"]
        self.module.run_command([*words, str(self.root / "bin" / "slipway-release"), str(request)], check_rc=True)
        ends = (*ENDS, "healthy", "gate", *(["live"] if self.module.params["request"].get("quick") else []))
        return self.wait(ends)

    def question(self) -> dict:
        """Return what the process asks at the gate: the SQL of each database."""
        return json.loads((self.directory / "gate.json").read_text())

    def answer(self) -> dict:
        """Say what was found in the SQL, and wait for what comes of it."""
        if self.state().get("status") == "gate" and self.running():
            host.write(self.directory / "verdict.json", json.dumps({"steps": self.module.params["steps"]}), 0o600)
            while self.state().get("status") == "gate" and self.running():
                time.sleep(0.05)
        return self.wait((*ENDS, "healthy"))

    def discard(self) -> bool:
        """Remove what was shipped for a deploy that never began here; True where there was something."""
        shipped = [] if self.running() else host.shipped(self.root, self.module.params["request"])
        for path in shipped:
            path.unlink(missing_ok=True)
        return bool(shipped)

    def word(self, word: str) -> dict:
        """Say the word that the process waits for, and wait for what comes of it."""
        if self.state().get("status") in ("healthy", "watched") and self.running():
            (self.directory / "word.part").write_text(word)
            (self.directory / "word.part").rename(self.directory / "word")
            while self.state().get("status") == ("watched" if word == "keep" else "healthy") and self.running():
                time.sleep(0.05)
        return self.wait((*ENDS, "watched") if word == "go" else ENDS)

    def wait(self, ends: tuple[str, ...]) -> dict:
        """Wait until the process says one of ``ends``, or is gone."""
        gone, asked = 0, 0.0
        while True:
            state = self.state()
            if state.get("status") in ends:
                return state
            # A word is looked for ten times a second, the process once: to ask systemctl takes more than to look.
            if gone or time.monotonic() - asked >= 1:
                asked = time.monotonic()
                gone = 0 if self.running() else gone + 1
            if gone > 5:
                state = self.state()
                if state.get("status") in (*ends, "live"):
                    return state
                return {
                    "status": "failed",
                    "step": state.get("step", "start"),
                    "changed": True,
                    "log": [],
                    "reason": f"the process ended without a word; see journalctl -u {self.unit}",
                }
            time.sleep(0.1)


def report(app: str, state: dict) -> str:
    """Return what a failed operation says to the person in front of it."""
    serving = state.get("serving") or state.get("previous")
    lines = [
        f"The release {state.get('id', '')} of {app} did not go live."
        f" Step: {state['step']}. Reason: {state['reason'].rstrip('.')}.",
        f"The release {serving} goes on serving." if serving else "No release is live.",
    ]
    if state.get("log"):
        lines += ["Last log lines:", *(f"  {line}" for line in state["log"])]
    return "\n".join(lines)


def run(module: Module) -> None:
    """Run as a light module."""
    module.log(f"Invoked for {module.params['app']}: {module.params['state']}")
    follower, wanted = Follower(module), module.params["state"]
    if wanted == "query":
        module.exit_json(changed=follower.keep_standing(), **follower.query())
    if module.check_mode:
        module.exit_json(changed=True)
    if wanted == "discard":
        module.exit_json(changed=follower.discard())
    does = {"start": follower.start, "answer": follower.answer}
    state = does[wanted]() if wanted in does else follower.word(wanted)
    if state["status"] == "gate":
        module.exit_json(changed=True, status="gate", **follower.question())
    for warning in state.get("warnings", []) if state["status"] != "watched" else []:
        module.warn(warning)
    if state["status"] == "failed" and wanted != "abort":
        module.fail_json(msg=report(follower.app, state), **{key: state.get(key) for key in ("step", "reason", "log")})
    module.exit_json(
        changed=bool(state.get("changed")),
        status=state["status"],
        version=state.get("version", ""),
        release=state.get("id", ""),
        previous=state.get("previous", ""),
    )
