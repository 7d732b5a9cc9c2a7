"""The order in which a release goes live: one process on the machine, until the old release has ended."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import shlex
import shutil
import time
from pathlib import Path

from . import checks, clock, history, host, layout, migration, preflight, watch
from .host import Failure, active, systemctl
from .release import Release, change_environment, content_id, decode_environment, name, scale, settings_digest, stems

# What a database says to an app that asks it for its tables while it is imported.
_WANTS_TABLES = re.compile(r"UndefinedTable|UndefinedColumn|no such (table|column)|relation .* does not exist")


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
        self.run_directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.run_directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)  # held until the process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        (self.run_directory / "word").unlink(missing_ok=True)
        self.tell()
        switched = False
        try:
            self.tidy()
            if not self.prepare():
                self.clear_incoming()
                self.tell(status="done", step="nothing to do")
                return True
            self.start()
            self.health()
            self.wait_for_word("healthy", "go")
            self.switch()
            switched = True
            self.start_processes()
            self.watch()
            self.wait_for_word("watched", "keep")
            self.remember("live")
            self.tell(status="live")
            self.retire()
            self.prune()
            self.tell(status="done", step="live")
            return True
        except Failure as failure:
            self.back(failure, switched)
        except Exception as error:  # whatever it is, the old release must go on serving and somebody must read why
            self.back(Failure(self.state["step"], f"{type(error).__name__}: {error}"), switched)
        return False

    # Before anything: leftovers of a process that was killed
    def tidy(self) -> None:
        """Stop what an interrupted run left behind: units and directories that belong to no live release."""
        self.step("tidy")
        for part in self.root.glob("*/*.part"):
            shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
            self.tell(changed=True)
        keep = {self.old.name, self.warm()} if self.old else set()
        found = host.instances(self.app)
        for unit in sorted(found, key=lambda unit: unit.endswith(".service")):  # sockets first
            if found[unit] in keep:
                continue
            enabled = systemctl("is-enabled", "--quiet", unit, check=False).returncode == 0
            if enabled or systemctl("is-active", unit, check=False).stdout.strip() not in ("inactive", "failed"):
                systemctl("disable", "--now", unit, check=False)
                self.tell(changed=True)
            systemctl("reset-failed", unit, check=False)

    def warm(self) -> str:
        """Return the release that is kept up beside the live one, or ""."""
        return history.predecessor(self.lines, self.old.name) if self.request.get("warm") and self.old else ""

    # What is to go live: each operation has its own answer
    def prepare(self) -> bool:
        """Make what shall go live, as far as it is to be made; False where there is nothing to do."""
        return getattr(self, "_" + self.request["operation"].replace("-", "_"))()

    def _deploy(self) -> bool:
        """A release from what was shipped."""
        wanted = self.request["manifest"]["id"]
        serves = self.old is not None and self.old.manifest.get("id") == wanted
        if serves:
            self.choose(self.old.name)
        settled = serves and self.settled()
        scaled = self.set_scale()
        if serves and "web" in scaled:
            return self._copy("scale", {})
        if settled:
            return self.adjust_processes(scaled)
        self.tell(changed=True)
        self.check_machine()
        if not self.release.manifest:
            self.step("unpack")
            settings = (self.root / "incoming" / f"{wanted}.env").read_text()
            earlier = self.keeping(self.request["assets"]) if self.old else []
            directory = layout.Layout(self.release, self.request["manifest"])
            directory.unpack(self.request["archives"], settings, [Release(self.app, name) for name in earlier])
        self.clear_incoming()
        if self.old and not self.replaces:
            return True  # it served before: only what stopped is started again
        loaded = self.check(before_migration=bool(self.request["migrate"] and self.release.manifest["migrate"]))
        if self.request["migrate"]:
            self.migrated = migration.migrate(self)
        if not loaded:
            self.check()
        return True

    def _restart(self) -> bool:
        """The live release anew."""
        return self._copy("restart", {})

    def _set_config(self) -> bool:
        """The live release's code under other settings."""
        if not self.old:
            raise Failure("choose", "no release is live, so that there is none to configure")
        text = (self.old.directory / "env").read_text()
        asked = self.request["settings"]
        new = asked["text"] if asked["whole"] else change_environment(text, asked["text"], asked["unset"])
        if new == text:
            return False
        secrets = self.request["secrets"] if asked["whole"] else self.old.manifest["secrets"]
        self._copy("configure", {"settings": settings_digest(new), "secrets": secrets, "generation": 0}, new)
        self.check()
        return True

    def _scale(self) -> bool:
        """The live release with other numbers of processes."""
        if not self.old:
            raise Failure("choose", "no release is live, so that there is none to scale")
        if self.request["merge"]:
            files = (file.name for file in (self.root / "scale").glob("*"))
            merged = {process: scale(self.app, process) for process in files} | self.request["scale"]
            self.request["scale"] = {key: merged[key] for key in merged if key not in self.request["unset"]}
        scaled = self.set_scale()
        return self._copy("scale", {}) if "web" in scaled else self.adjust_processes(scaled)

    def adjust_processes(self, scaled: list[str]) -> bool:
        """Run more or fewer of the live release's other processes; False, for nothing else is to be done."""
        if scaled:
            self.tell(changed=True)
            self.start_processes()
        return False

    def _copy(self, what: str, changed: dict, settings: str | None = None) -> bool:
        """Make a release from the live one; True."""
        if not self.old or not self.old.manifest:
            raise Failure("choose", f"no release is live, so that there is nothing to {what}")
        manifest = {**self.old.manifest, **changed}
        if settings is None:
            manifest["generation"] = self.old.manifest.get("generation", 0) + 1
        else:
            manifest["id"] = content_id(manifest)
        self.choose(name(manifest))
        self.tell(changed=True)
        self.check_machine()
        if not self.release.manifest:
            self.step("unpack")
            text = settings if settings is not None else (self.old.directory / "env").read_text()
            layout.Layout(self.release, manifest).copy(self.old, text)
        return True

    def _roll_back(self) -> bool:
        """A release that served before."""
        target = self.request["id"]
        if self.old and self.old.name == target:
            return False
        self.choose(target)
        if not self.release.manifest:
            here = ", ".join(sorted(path.name for path in (self.root / "releases").iterdir() if path.is_dir()))
            raise Failure("choose", f"the release {target} is not on this machine any more; there are {here or 'none'}")
        self.tell(changed=True)
        if not self.request.get("schema_confirmed"):
            migration.see_that_schema_fits(self.lines, self.old, self.release)
        return True

    def choose(self, name: str) -> None:
        """Note which release it is about."""
        self.release = Release(self.app, name)
        self.tell(id=name)

    def settled(self) -> bool:
        """Say whether the live release is the wanted one, all of it is up, and the history knows."""
        last = history.went_live(self.lines)[-1:]
        return bool(
            self.release.manifest and active(*self.release.units()) and last and last[0]["id"] == self.release.name
        )

    def set_scale(self) -> list[str]:
        """Keep how many of each process the machine shall run; return those of which there will be more or fewer."""
        wanted, changed = self.request.get("scale", {}), []
        directory = self.root / "scale"
        directory.mkdir(mode=0o755, exist_ok=True)
        known = {file.name: scale(self.app, file.name) for file in directory.iterdir() if file.suffix != ".part"}
        self.scaled_before = known
        for process in sorted(known.keys() | wanted.keys()):
            if wanted.get(process) != known.get(process):
                if process in wanted:
                    host.write(directory / process, f"{wanted[process]}\n", 0o644)
                else:
                    (directory / process).unlink()
                changed.append(process)
        return changed

    def check_machine(self) -> None:
        """See that the machine can take a second release."""
        self.step("preflight")
        archives = self.request.get("archives") or {}
        needed = 6 * sum(archive["bytes"] for archive in archives.values()) + 64 * 1048576
        asked = {
            "disk": lambda: preflight.disk(self.root, needed),
            "memory": lambda: preflight.memory(self.old.service) if self.old else None,
            "clock": lambda: preflight.clock(self.request["clock"]),
            "database": lambda: preflight.database(self.request.get("database_url", "")),
        }
        for check, ask in asked.items():
            if not self.waived(check):
                ask()

    def clear_incoming(self) -> None:
        """Remove what was shipped and is unpacked, or was never asked for: an interrupted run ships in vain."""
        for file in (self.root / "incoming").glob("*"):
            file.unlink()
            self.tell(changed=True)

    # Before the switch
    def unit_for(self, process: str, instance: str, kind: str, *more: str) -> str:
        """Write the template unit of a process, as the role gunicorn describes the app's units; return its name."""
        text = (self.root / "units" / "process@.service").read_text()
        text = text.replace("@PROCESS@", process).replace("@TYPE@", kind)
        text = text.replace("@RESTART@", "no" if kind == "oneshot" else "always")
        text = text.replace("[Service]\n", "\n".join(["[Service]", *more, ""]))
        file = host.UNITS / f"{self.app}-{instance}@.service"
        if not file.exists() or file.read_text() != text:
            host.write(file, text, 0o644)
            systemctl("daemon-reload")
        return f"{self.app}-{instance}@{self.release.name}.service"

    def check(self, before_migration: bool = False) -> bool:
        """Load the app as it will run, and stop where what it came to is unsafe.

        False where it can only be loaded when its tables are there, and ``before_migration`` says that they will be.
        """
        manifest = self.release.manifest
        if not manifest.get("wsgi"):
            return True
        self.step("check")
        self.made = migration.ask_app(self)
        if before_migration and not self.made["imports"] and _WANTS_TABLES.search(self.made["error"]):
            return False
        found = checks.judge(self.made, self.limits(), manifest["web"], self.gunicorn_arguments())
        for finding in found:
            if self.waived(finding.check):
                continue
            if not finding.unsafe:
                self.warn(str(finding))
                continue
            if finding.check == "imports":
                log = self.release.log(f"{self.app}-{migration.CHECK}@{self.release.name}.service", self.begun)
                raise Failure("check imports", finding.what, log)
            waive = f"(To go live all the same: app_waived_checks: [{finding.check}])"
            raise Failure(f"check {finding.check}", f"{finding.what}. {finding.change} {waive}")
        return True

    def limits(self) -> dict:
        """Return what the web server in front says of itself: its time-out (seconds) and largest body (MB)."""
        try:
            text = Path(self.request["web_server_config"]).read_text()
        except OSError:
            return {}
        found = {
            "proxy_timeout": re.search(r"^\s*proxy_read_timeout (\d+)s;", text, re.M),
            "body_megabytes": re.search(r"^\s*client_max_body_size (\d+)m;", text, re.M),
        }
        return {"proxy_hops": self.request["proxy_hops"]} | {key: int(hit[1]) for key, hit in found.items() if hit}

    def gunicorn_arguments(self) -> str:
        """Return the arguments that gunicorn gets besides those of its command line."""
        own = decode_environment((self.release.directory / "env").read_text())
        shown = systemctl("show", "--property=Environment", "--value", self.release.service, check=False).stdout
        units = dict(word.partition("=")[::2] for word in shlex.split(shown))
        return own.get("GUNICORN_CMD_ARGS", units.get("GUNICORN_CMD_ARGS", ""))

    def start(self) -> None:
        """Start the new release beside the old one."""
        self.step("start")
        self.begun = time.time()
        if active(self.release.socket_unit, self.release.service):
            return  # kept warm
        systemctl("reset-failed", self.release.socket_unit, self.release.service, check=False)
        for unit in (self.release.socket_unit, self.release.service):
            if systemctl("start", unit, check=False).returncode:
                raise Failure("start", f"{unit} did not start", self.release.log(unit, self.begun))

    def health(self) -> None:
        """Ask the new release for the health path over its own socket until it answers well."""
        self.step("health")
        path, deadline = self.request["health_path"], time.monotonic() + self.request["health_timeout"]
        said = "nothing"
        while True:
            try:
                status, body = self.release.get(path, self.request["host"], min(10, self.request["health_timeout"]))
                if 200 <= status < 400:
                    break
                said = f"{status} {' '.join(self.release.redact(body).split())[:120]}"
            except (OSError, http.client.HTTPException) as error:
                said = f"{type(error).__name__}: {error}"
            log = self.release.service, self.begun
            if not active(self.release.service):
                raise Failure("health", "the new release ended by itself", self.release.log(*log))
            if time.monotonic() > deadline:
                within = f"within {self.request['health_timeout']} s"
                reason = f"GET {path} did not answer 2xx or 3xx {within}; the last answer was: {said}"
                raise Failure("health", reason, self.release.log(*log))
            time.sleep(0.25)
        self.no_console()

    def no_console(self) -> None:
        """Refuse a release that answers with Werkzeug's debugger, which runs what anybody types."""
        if self.waived("console") or self.state["operation"] == "roll-back":
            return
        try:
            path = "/?__debugger__=yes&cmd=resource&f=debugger.js"
            status, body = self.release.get(path, self.request["host"], 10, 4096)
        except (OSError, http.client.HTTPException):
            return
        if status == 200 and "__debugger__" in body and "EVALEX" in body:
            reason = "Werkzeug's console answers, in which anybody can run Python. Take DebuggedApplication out."
            raise Failure("check console", reason)

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

    # The switch and after
    def switch(self) -> None:
        """Point /srv/APP/current at the new release: code, settings, static files and socket in one rename(2)."""
        self.step("switch")
        self.log = watch.Log(self.request.get("access_log", ""))
        systemctl("enable", "--quiet", self.release.socket_unit, self.release.service)
        self.point(self.release)

    def point(self, release: Release) -> None:
        """Replace the link ``current`` atomically."""
        part = self.root / "current.part"
        part.unlink(missing_ok=True)
        part.symlink_to(Path("releases") / release.name)
        part.rename(self.current)

    def start_processes(self) -> None:
        """Stop the old release's workers and start the new one's, each when the one before it is up."""
        wanted = {
            instance: process
            for process in self.release.manifest["processes"]
            for instance in stems(process, scale(self.app, process))
        }
        units = {f"{self.app}-{instance}@{self.release.name}.service" for instance in wanted}
        for unit in host.instances(self.app):
            if unit.startswith(f"{self.app}-web@") or unit in units:
                continue
            systemctl("disable", "--quiet", unit, check=False)
            systemctl("stop", unit, check=False)
        for instance, process in wanted.items():
            self.step(f"start {instance}")
            unit = self.unit_for(process, instance, "exec")
            systemctl("enable", "--quiet", unit)
            begun = time.time()
            if active(unit):
                continue
            if systemctl("start", unit, check=False).returncode:
                raise Failure(f"start {instance}", f"{unit} did not start", self.release.log(unit, begun))
            time.sleep(1)
            if not active(unit):
                raise Failure(f"start {instance}", f"{unit} ended at once", self.release.log(unit, begun))

        clock.schedule(self, self.release)

    def watch(self) -> None:
        """Look at the new release for a while; a Failure where it ends, hangs or answers worse than the old one."""
        seconds = self.request["watch"]
        if not seconds:
            return
        self.step("watch")
        units = [self.release.service, *self.release.processes()]
        restarts, before, failed, switched = self.restarts(units), self.log.before(), 0, time.time()
        dying = len(watch.dying_workers(self.old.service, switched - seconds)) if self.old else 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(min(1.0, seconds))
            if not active(*units) or self.restarts(units) != restarts:
                unit = next((unit for unit in units if not active(unit)), self.release.service)
                raise Failure("watch", f"{unit} ended by itself", self.release.log(unit, self.begun))
            worse = watch.worse(before, self.log.more(), self.request["watch_percent"], self.request["watch_errors"])
            if worse:
                reason = f"{worse}; for example {self.log.example}"
                raise Failure("watch", reason, self.release.log(self.release.service, self.begun))
            deaths = watch.dying_workers(self.release.service, switched)
            if len(deaths) >= max(3, 2 * dying):
                raise Failure(
                    "watch", f"{len(deaths)} workers died since the switch", [*map(self.release.redact, deaths[-25:])]
                )
            try:
                status, _body = self.release.get(self.request["health_path"], self.request["host"], 5)
                failed = 0 if status < 400 else failed + 1
            except (OSError, http.client.HTTPException):
                failed += 1
            if failed >= 3:
                reason = f"GET {self.request['health_path']} failed three times in a row after the switch"
                raise Failure("watch", reason, self.release.log(self.release.service, self.begun))

    @staticmethod
    def restarts(units: list[str]) -> str:
        """Return how often systemd restarted some units."""
        return systemctl("show", "--property=NRestarts", "--value", *units).stdout

    def retire(self) -> None:
        """Let the old release answer what it already has, then stop it: first its socket, then its service."""
        self.step("retire")
        if self.old and self.replaces:
            self.drain(self.old)
        # The one that is gone stays up where the inventory wants it warm, and the one that was warm before goes.
        warm = history.predecessor(self.lines, self.release.name) if self.request.get("warm") else ""
        for stale in sorted({*host.instances(self.app).values()} - {self.release.name, warm}):
            self.stop(Release(self.app, stale))
        if warm:
            systemctl("disable", "--quiet", *Release(self.app, warm).units(), check=False)

    def drain(self, release: Release) -> None:
        """Wait until no connection waits in a release's accept queue."""
        time.sleep(0.2)  # an nginx worker that resolved the old link a moment ago still connects
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and host.waiting(release.socket):
            time.sleep(0.1)

    def stop(self, release: Release) -> None:
        """Stop a release; requests that it is answering are finished by gunicorn's graceful time-out."""
        found = host.instances(self.app)
        units = [release.socket_unit, *(unit for unit in found if found[unit] == release.name)]
        for unit in sorted(set(units), key=lambda unit: unit.endswith(".service")):
            systemctl("disable", "--quiet", unit, check=False)
            systemctl("stop", unit, check=False)
            systemctl("reset-failed", unit, check=False)
        release.socket.unlink(missing_ok=True)

    def back(self, failure: Failure, switched: bool) -> None:
        """Leave, or put, the old release in charge and say why."""
        log = [self.release.redact(line) for line in failure.log]
        self.state["reason"] = self.release.redact(failure.reason)
        self.tell(status="failing", step=failure.step, log=log)
        print(f"{self.release.name}: failed: {failure}", *log, sep="\n", flush=True)
        try:
            if self.scaled_before is not None:
                self.request["scale"] = self.scaled_before
                self.set_scale()
            if switched and self.old and self.replaces:
                self.to_old(self.old)
            if not self.old or self.replaces:
                if switched and not self.old:
                    self.current.unlink(missing_ok=True)
                self.stop(self.release)
            self.remember("failed", f"{failure.step}: {self.state['reason']}")
            # A release that served before stays, to go back to.
            if not history.version_of(self.lines, self.release.name) and (not self.old or self.replaces):
                shutil.rmtree(self.release.directory, ignore_errors=True)
            shutil.rmtree(self.release.directory.with_name(self.release.name + ".part"), ignore_errors=True)
            self.clear_incoming()
        finally:
            self.tell(status="failed", serving=self.old.name if self.old else "")

    def to_old(self, old: Release) -> None:
        """Give the traffic back to the release that had it, then its workers."""
        for unit in (old.socket_unit, old.service):
            systemctl("enable", "--quiet", unit, check=False)
            systemctl("start", unit, check=False)
        self.point(old)
        self.drain(self.release)
        for unit in old.processes():
            systemctl("enable", "--quiet", unit, check=False)
            systemctl("start", unit, check=False)
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

    def keeping(self, number: int) -> list[str]:
        """Return the names of the releases that stay."""
        return history.kept(self.lines, (self.live() or self.release).name, number)

    def prune(self) -> None:
        """Remove all but the newest releases that went live, and dependencies that none of them shares."""
        self.step("prune")
        keep = self.keeping(self.request["keep"])
        for directory in (self.root / "releases").iterdir():
            if directory.name not in keep:
                shutil.rmtree(directory, ignore_errors=True)
        self.clear_incoming()
        shared = {Release(self.app, name).manifest.get("dependencies", "") for name in keep}
        for directory in (self.root / "cache").iterdir():
            if directory.name not in shared:
                shutil.rmtree(directory, ignore_errors=True)
