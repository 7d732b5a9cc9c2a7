"""The order in which a release goes live: one process on the machine, until the old release has ended."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from pathlib import Path

from . import clock, durable, fleet, history, host, operations, recovery, retirement, trial, watch
from .host import Failure
from .release import Release

# How long somebody who takes back an interrupted switch may hold the lock, in seconds.
_RECOVERY_SECONDS = 60


class Operation:
    """A deploy, or another operation that ends with a release being live; see run().

    ``request`` is what the module app_release handed over. Between "healthy" and "switched", and between "watched" and
    "retired", the process waits for a word in /run/slipway/APP/word, so that all machines go on or none does.
    """

    def __init__(self, request: dict) -> None:
        self.request = request
        self.app = request["app"]
        self.root = host.ROOT / self.app
        self.run_directory = host.RUN / self.app
        self.current = self.root / "current"
        self.old = self.live()
        self.release: Release = Release(self.app, request.get("id") or (self.old.name if self.old else "0" * 12))
        self.made: dict = {}
        self.migrated: dict = {}
        self.scaled_before: dict | None = None
        self.begun = time.time()
        self.state = {
            "operation": request["operation"],
            "id": self.release.name,
            "status": "running",
            "step": "lock",
            "reason": "",
            "log": [],
            "warnings": [],
            "changed": False,
            "since": host.now(),
            "by": request["by"],
            "previous": self.old.name if self.old else "",
            "pid": os.getpid(),
        }

    @property
    def lines(self) -> list[dict]:
        """The history so far."""
        return history.read(self.root / "history.jsonl")

    def live(self) -> Release | None:
        """Return the release that /srv/APP/current names."""
        try:
            return Release(self.app, Path(os.readlink(self.current)).name)
        except OSError:
            return None

    @property
    def replaces(self) -> bool:
        """Say whether another release serves now than the one that shall."""
        return self.old is not None and self.old.name != self.release.name

    def tell(self, **news: object) -> None:
        """Keep the progress where ansible-playbook looks for it."""
        self.state.update(news)
        if self.request.get("silent"):
            return
        part = self.run_directory / "state.part"
        part.write_text(json.dumps(self.state))
        part.rename(self.run_directory / "state.json")

    def step(self, name: str) -> None:
        """Note which step begins."""
        print(f"{self.release.name}: {name}", flush=True)
        self.tell(step=name)

    def warn(self, text: str) -> None:
        """Tell the person in front of it what is unwise."""
        print(f"{self.release.name}: warning: {text}", flush=True)
        self.tell(warnings=[*self.state["warnings"], text])

    def waived(self, check: str) -> bool:
        """Say whether the inventory waives a check by its name."""
        return check in self.request.get("waived", [])

    def run(self) -> bool:
        """Do it; True where the release is live in the end, False where the old one goes on serving."""
        if not self.locked():
            return False
        (self.run_directory / "word").unlink(missing_ok=True)
        recovery.install(self.app, self.root / "bin/slipway-release")
        self.take_back_unconfirmed()
        self.tell()
        switched = False
        try:
            retirement.tidy(self)
            if not operations.prepare(self):
                retirement.clear_incoming(self)
                self.tell(status="done", step="nothing to do")
                return True
            trial.start(self)
            trial.health(self)
            self.wait_for_word("healthy", "go")
            switched = True  # whatever fails in it: to put the old release in charge again does no harm
            self.switch()
            fleet.start(self)
            watch.over(self)
            self.wait_for_word("watched", "keep")
            self.remember("live")
            recovery.clear(self.root)
            self.tell(status="live")
            self.take_leave()
            self.tell(status="done", step="live")
            return True
        except Failure as failure:
            self.back(failure, switched)
        except Exception as error:  # whatever it is, the old release must go on serving and somebody must read why
            self.back(Failure(self.state["step"], f"{type(error).__name__}: {error}"), switched)
        return False

    def locked(self) -> bool:
        """Take the app's deploy lock, which is held until the process ends; False where somebody else keeps it."""
        lock = os.open(host.run_directory(self.app) / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        os.fchmod(lock, 0o600)
        deadline = time.monotonic() + _RECOVERY_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.1)

    def take_back_unconfirmed(self, silent: bool = True) -> None:
        """Roll back a switch that was interrupted before it was confirmed, as its own process would have done.

        A roll-back is kept instead: what it has left is what somebody wanted to leave. So is an app's first release,
        before which there was none: the next deploy checks it like any other.
        """
        found = recovery.unconfirmed(self.root, self.old.name if self.old else "")
        if not found:
            return
        interrupted = Operation(found["request"] | {"app": self.app, "id": found["id"], "silent": silent})
        interrupted.old = Release(self.app, found["from"]) if found["from"] else None
        interrupted.state.update(previous=found["from"], step="recover")
        interrupted.scaled_before, interrupted.migrated = found["scaled_before"], found["migrated"]
        if found["request"]["operation"] == "roll-back":
            interrupted.remember("live", "kept: the process of the roll-back was interrupted after the switch")
        elif interrupted.old and interrupted.old.manifest:
            interrupted.back(
                Failure("recover", "interrupted after the switch, before the release was confirmed"), switched=True
            )
        recovery.clear(self.root)
        self.old = self.live()
        self.state["previous"] = self.old.name if self.old else ""

    def recover(self) -> bool:
        """Take back a switch that was interrupted; after a boot also stop what belongs to no live release."""
        if not self.locked():
            return False
        self.take_back_unconfirmed(silent=False)
        # systemd says whose failure it is, where it is one (systemd.exec(5)).
        if "MONITOR_UNIT" not in os.environ:
            self.request["silent"] = True
            retirement.tidy(self)
        return True

    def take_leave(self) -> None:
        """Retire what was live before. What goes wrong with it is no reason to leave the release that serves well."""
        try:
            retirement.retire(self)
            retirement.prune(self)
        except Exception as error:
            self.warn(f"something of earlier releases is left over, for the next run: {type(error).__name__}: {error}")

    def choose(self, name: str) -> None:
        """Note which release it is about."""
        self.release = Release(self.app, name)
        self.tell(id=name)

    def wait_for_word(self, status: str, wanted: str) -> None:
        """Wait until all machines have got as far, as ansible-playbook says."""
        if self.request["alone"]:
            return
        self.tell(status=status)
        seconds = self.request["word_timeout"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                word = (self.run_directory / "word").read_text().strip()
            except OSError:
                word = ""
            if word == wanted:
                self.tell(status="running")
                return
            if word == "abort":
                raise Failure("wait", "another machine did not get as far, so that none switches")
            time.sleep(0.05)
        if wanted == "go":
            raise Failure("wait", f"nobody said go within {seconds} s; was ansible-playbook killed?")

    def switch(self) -> None:
        """Point /srv/APP/current at the new release: code, settings, static files and socket in one rename(2)."""
        self.step("switch")
        self.log = watch.Log(self.request.get("access_log", ""))
        if self.replaces:
            self.note_switch()
        host.enable(self.release.socket_unit, self.release.service)
        self.point(self.release)

    def note_switch(self) -> None:
        """Write down what it takes to roll the switch back, before it is made."""
        recovery.note(
            self.root,
            {
                "id": self.release.name,
                "from": self.state["previous"],
                "lines": len(self.lines),
                "scaled_before": self.scaled_before,
                "migrated": self.migrated,
                "request": {
                    key: self.request[key]
                    for key in ("operation", "by", "runs_clocks", "version")
                    if key in self.request
                },
            },
        )

    def point(self, release: Release) -> None:
        """Replace the link ``current`` atomically; when this returns, a power cut does not undo it."""
        part = self.root / "current.part"
        part.unlink(missing_ok=True)
        part.symlink_to(Path("releases") / release.name)
        durable.publish_link(part, self.current)

    def back(self, failure: Failure, switched: bool) -> None:
        """Leave, or put, the old release in charge and say why."""
        log = [self.release.redact(line) for line in failure.log]
        self.state["reason"] = self.release.redact(failure.reason)
        self.tell(status="failing", step=failure.step, log=log)
        print(f"{self.release.name}: failed: {failure}", *log, sep="\n", flush=True)
        try:
            if self.scaled_before is not None:
                self.request["scale"] = self.scaled_before
                fleet.set_scale(self)
            if switched and self.old and self.replaces:
                self.to_old(self.old)
            if not self.old or self.replaces:
                if switched and not self.old:
                    self.current.unlink(missing_ok=True)
                retirement.stop(self, self.release)
            self.remember("failed", f"{failure.step}: {self.state['reason']}")
            # A release that served before stays, to go back to.
            if not history.version_of(self.lines, self.release.name) and (not self.old or self.replaces):
                shutil.rmtree(self.release.directory, ignore_errors=True)
            recovery.clear(self.root)
            retirement.clear_parts(self)
            retirement.clear_incoming(self)
        finally:
            self.tell(status="failed", serving=self.old.name if self.old else "")

    def to_old(self, old: Release) -> None:
        """Give the traffic back to the release that had it, then its workers."""
        for unit in (old.socket_unit, old.service):
            host.enable(unit, check=False)
            host.start(unit)
        self.point(old)
        retirement.drain(self.release)
        for unit in old.processes():
            host.enable(unit, check=False)
            host.start(unit)
        clock.schedule(self, old)

    def remember(self, result: str, why: str = "") -> None:
        """Append a line to the history; a release that went live gets the next version number."""
        lines, operation = self.lines, self.state["operation"]
        manifest = self.release.manifest or self.request.get("manifest", {})
        entry = {
            "when": host.now(),
            "who": self.request["by"],
            "what": operation,
            "result": result,
            "id": self.release.name,
            "from": self.state["previous"],
            "ref": manifest.get("ref", ""),
            "commit": manifest.get("commit", ""),
            "changes": self.changes(manifest),
            "why": why or self.request.get("why", ""),
            **self.migrated,
        }
        if result == "live":
            same = history.version_of(lines, self.state["previous"])
            number = max(history.last_version(lines) + 1, self.request.get("version", 0))
            entry["version"] = same if operation in ("restart", "scale") and same else f"v{number}"
            self.tell(version=entry["version"])
        history.append(self.root / "history.jsonl", entry)

    def remember_migration(self, kept: dict) -> None:
        """Write down what a migration is about to change, before it does: a kill or a power cut must not hide it."""
        self.migrated = kept
        if kept:
            self.remember("migrating")

    def changes(self, manifest: dict) -> list[str]:
        """Return in words what a release has other than the one before it."""
        before = self.old.manifest if self.old else {}
        if not before:
            return ["first release"]
        parts = {"source": "code", "dependencies": "dependencies", "python": "Python", "settings": "settings"}
        changed = [word for key, word in parts.items() if before.get(key) != manifest.get(key)]
        if any(
            before.get(key) != manifest.get(key)
            for key in ("web", "wsgi", "processes", "scheduled", "migrate", "static")
        ):
            changed.append("processes")
        return changed
