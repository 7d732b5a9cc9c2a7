#!/usr/bin/python3
"""Restart what still runs files that an update has replaced, as far as nobody notices it, and say what is left.

    updates [--all | --at HH:MM]    --all: also what cannot be restarted without cutting connections; --at: at that time

A process that was started before an update goes on with the old library, which is deleted and no longer to be seen
anywhere. Apps are restarted as releases are, beside themselves; nginx hands its sockets to a new one of itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROC, APPS, RUN = Path("/proc"), Path("/srv"), Path("/run/slipway")
REPORT, MOTD = Path("/var/lib/slipway/updates.json"), Path("/run/motd.d/10-slipway-updates")
LOCK = Path("/run/slipway-updates.lock")
NGINX_PID = Path("/run/nginx.pid")
# What packages bring. An app's own files and what programs map for themselves (shared memory) are not theirs.
_REPLACED = re.compile(r"^\S+ \S+ \S+ \S+ \S+\s+(/(?:usr|lib|lib32|lib64|bin|sbin)/\S.*) \(deleted\)$", re.M)
_UNIT = re.compile(r"/([^/\n]+\.service|init\.scope)(?=/|$)", re.M)
_OF_APP = re.compile(r"^(?P<app>[a-z][a-z0-9-]*?)-[a-z][a-z0-9.-]*@(?P<release>[0-9a-f]{12})\.service$")
# Restarted without anybody noticing. dbus and what runs virtual machines or containers are not of that kind.
_QUIET = re.compile(
    r"(cron|rsyslog|systemd-(journald|logind|timesyncd|resolved|udevd)|chrony|fail2ban|exim4|postfix|smartd|irqbalance"
    r"|haveged|rng-tools.*|unattended-upgrades)\.service"
)
# Restarted at a time of its own, for connections are cut.
_CUTS = re.compile(r"(postgresql@.*|mariadb|mysql|redis-server|memcached)\.service")
_SSH = ("ssh.service", "sshd.service")
# Ends by itself, and begins with what is there then.
_ENDS = re.compile(r"(apt-daily.*|slipway-updates.*|.*-deploy|.*\.run-.*|.*-at\..*)\.service")


def outdated() -> dict[str, list[str]]:
    """Return the units that run replaced files, each with those files; "" for processes of no service.

    Connections to sshd that are under way are left out: they end by themselves.
    """
    found: dict[str, set[str]] = {}
    for process in PROC.glob("[0-9]*"):
        try:
            files = set(_REPLACED.findall((process / "maps").read_text(errors="replace")))
            if not files:
                continue
            units = _UNIT.findall((process / "cgroup").read_text())
        except OSError:
            continue  # it has ended
        unit = units[-1] if units else ""
        if unit in _SSH and process.name != main_process(unit):
            continue
        found.setdefault(unit, set()).update(files)
    return {unit: sorted(files) for unit, files in sorted(found.items())}


def main_process(unit: str) -> str:
    """Return the number of a unit's main process."""
    return run("systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()


def run(*words: str, seconds: int = 600) -> subprocess.CompletedProcess:
    """Run a command, whose status says whether it went well."""
    return subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)


def restart(unit: str) -> str:
    """Restart a unit; return what went wrong, or ""."""
    done = run("systemctl", "restart", unit)
    return done.stderr.strip()[-300:] if done.returncode else ""


def restart_ssh(unit: str) -> str:
    """Restart sshd, which leaves connections alone, where it takes its own configuration."""
    tried = run("sshd", "-t")
    return f"sshd refuses its configuration: {tried.stderr.strip()[-200:]}" if tried.returncode else restart(unit)


def upgrade_nginx(_unit: str) -> str:
    """Let nginx start a new one of itself with the same sockets, and end when what it has begun is done.

    The old one goes on where the new one does not come up.
    """
    tried = run("nginx", "-t", "-q")
    if tried.returncode:
        return f"nginx refuses its configuration: {tried.stderr.strip()[-200:]}"
    old = int(NGINX_PID.read_text())
    beside = NGINX_PID.with_name(NGINX_PID.name + ".oldbin")
    os.kill(old, signal.SIGUSR2)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        time.sleep(0.2)
        new = number(NGINX_PID)
        if beside.exists() and new not in (0, old) and children(new):
            os.kill(old, signal.SIGQUIT)
            return ""
    return "the new nginx did not come up; the old one goes on (its error log says why)"


def number(file: Path) -> int:
    """Return the process number in a file; 0 where there is none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def children(process: int) -> list[str]:
    """Return the children of a process; empty where it is gone."""
    try:
        return (PROC / str(process) / "task" / str(process) / "children").read_text().split()
    except OSError:
        return run("pgrep", "--parent", str(process)).stdout.split()


def reexecute(_unit: str) -> str:
    """Let systemd itself begin anew, and wait until it answers again."""
    problem = run("systemctl", "daemon-reexec").stderr.strip()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not run("systemctl", "is-system-running").stdout.strip():
        time.sleep(0.2)
    return problem


def restart_app(app: str) -> str:
    """Restart an app as playbooks/restart.yml does: another generation beside it, health, switch."""
    program, standing = APPS / app / "bin" / "slipway-release", APPS / app / "restart.json"
    try:
        request = json.loads(standing.read_text())
    except (OSError, ValueError):
        return f"{standing} is not there: run playbooks/deploy.yml once, or playbooks/restart.yml"
    request |= {"operation": "restart", "alone": True, "quick": True, "version": 0, "clock": time.time()}
    request |= {"by": f"updates@{os.uname().nodename}", "why": "an update replaced files that it ran"}
    for directory in (RUN, RUN / app):
        directory.mkdir(mode=0o700, exist_ok=True)
    file = RUN / app / "updates.json"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump(request, handle)
    unit = f"{app}-deploy.service"
    words = ["systemd-run", "--quiet", "--collect", "--wait", f"--unit={unit}", f"--description=Restart {app}"]
    # A process that is killed leaves to this service what it would have done itself.
    words.append(f"--property=OnFailure={app}-recover.service")
    done = run(*words, str(program), str(file), seconds=1800)
    file.unlink(missing_ok=True)
    return f"journalctl -u {unit} says why" if done.returncode else ""


def handler(unit: str, everything: bool, at: str) -> Callable[[str], str] | str:
    """Return how a unit is restarted, or in words why it is left."""
    if unit == "nginx.service":
        return upgrade_nginx
    if unit in _SSH:
        return restart_ssh
    when = f"that is done at {at}" if at else "base_restart_time names a time for it"
    if unit == "init.scope":
        # For a moment nobody can ask systemd anything, and a deploy that is under way would fail.
        return reexecute if everything else f"systemd itself, which does not answer meanwhile; {when}"
    if _QUIET.fullmatch(unit):
        return restart
    if _CUTS.fullmatch(unit):
        return restart if everything else f"a restart cuts its connections; {when}"
    return "" if _ENDS.fullmatch(unit) else "a restart may disturb others, or ends somebody's session"


def app_of(unit: str) -> str:
    """Return the app that a unit runs a release of, or ""."""
    found = _OF_APP.fullmatch(unit)
    while found:
        if (APPS / found["app"] / "releases" / found["release"]).is_dir():
            return found["app"]
        # A name may have a hyphen in it: the next longer one.
        found = re.compile(
            rf"^(?P<app>{re.escape(found['app'])}-[a-z0-9-]*?)-[a-z][a-z0-9.-]*@(?P<release>[0-9a-f]{{12}})\.service$"
        ).fullmatch(unit)
    return ""


def refresh(everything: bool, at: str) -> tuple[list[str], dict[str, str]]:
    """Restart what can be restarted; return what was, and what was not with the reason."""
    done, left, apps = [], {}, set()
    # systemd last: the others need it.
    for unit in sorted(outdated(), key=lambda name: name == "init.scope"):
        app = app_of(unit)
        if app and app in apps:
            continue
        apps.add(app)
        does = restart_app if app else handler(unit, everything, at)
        if does == "":
            continue
        problem = does if isinstance(does, str) else does(app or unit)
        name = app or unit or "programs of people who are logged in"
        if problem:
            left[name] = problem
        else:
            done.append(name)
    return done, left


def reboot_needed() -> bool:
    """Say whether another kernel than the newest one runs, or a package asks for a reboot."""
    if Path("/run/reboot-required").exists():
        return True
    release = os.uname().release
    kernels = [file.name.removeprefix("vmlinuz-") for file in Path("/boot").glob("vmlinuz-*")]
    newest = max(kernels, key=lambda name: [int(part) for part in re.findall(r"\d+", name)], default="")
    return release in kernels and release != newest


def write(file: Path, text: str) -> None:
    """Write a file whole, readable by everybody; without a text there is no file."""
    if not text:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.write_text(text)
    part.chmod(0o644)
    part.rename(file)


def report(done: list[str], left: dict[str, str], reboot: bool) -> None:
    """Say what was restarted and what was not, here, in a file, and to those who log in."""
    lines = [f"restarted: {name}" for name in done]
    waits = [f"still runs replaced files: {name} ({why})" for name, why in left.items()]
    waits += ["a new kernel waits for a reboot"] if reboot else []
    print(*lines, *waits, sep="\n")
    found = {"when": int(time.time()), "restarted": done, "left": left, "reboot": reboot}
    write(REPORT, json.dumps(found, indent=1) + "\n")
    more = "sudo /usr/local/lib/slipway/updates --all restarts services; sudo reboot renews all."
    lines = ["Updates that do not reach what runs:", *(f"  {line}" for line in waits), more, ""]
    write(MOTD, "\n".join(lines) if waits else "")


def is_time(at: str) -> bool:
    """Say whether it is some time of day (HH:MM, or "" for never), or a quarter of an hour later at the most."""
    if not at:
        return False
    now, then = time.localtime(), [int(part) for part in at.split(":")]
    return 0 <= (now.tm_hour * 60 + now.tm_min - then[0] * 60 - then[1]) % 1440 < 15


def main(arguments: list[str]) -> int:
    """Wait until no package is being installed, then restart and report."""
    for name in ("lock-frontend", "lock"):
        with open(f"/var/lib/dpkg/{name}", "w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
    at = arguments[arguments.index("--at") + 1] if "--at" in arguments else ""
    alone = os.open(LOCK, os.O_WRONLY | os.O_CREAT, 0o600)  # held until this process ends
    fcntl.flock(alone, fcntl.LOCK_EX)
    done, left = refresh("--all" in arguments or is_time(at), at)
    time.sleep(1)  # what was told to end is ending
    report(done, left, reboot_needed())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
