"""The new release beside the old one, before it gets traffic: what it loads, whether it starts, what it answers."""

from __future__ import annotations

import http.client
import math
import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import checks, host, migration, watch
from .host import Failure, active, systemctl
from .release import decode_environment

if TYPE_CHECKING:
    from .engine import Operation

# What a database says to an app that asks it for its tables while it is imported.
_WANTS_TABLES = re.compile(r"UndefinedTable|UndefinedColumn|no such (table|column)|relation .* does not exist")


def check(operation: Operation, before_migration: bool = False) -> bool:
    """Load the app as it will run, and stop where what it came to is unsafe.

    False where it can only be loaded when its tables are there, and ``before_migration`` says that they will be.
    """
    manifest = operation.release.manifest
    if not manifest.get("wsgi"):
        return True
    operation.step("check")
    operation.made = migration.ask_app(operation)
    if before_migration and not operation.made["imports"] and _WANTS_TABLES.search(operation.made["error"]):
        return False
    found = checks.judge(operation.made, limits(operation), manifest["web"], gunicorn_arguments(operation))
    for finding in found:
        if operation.waived(finding.check):
            continue
        if not finding.unsafe:
            operation.warn(str(finding))
            continue
        if finding.check == "imports":
            log = operation.release.log(
                f"{operation.app}-{migration.CHECK}@{operation.release.name}.service", operation.begun
            )
            raise Failure("check imports", finding.what, log)
        waive = f"(To go live all the same: app_waived_checks: [{finding.check}])"
        raise Failure(f"check {finding.check}", f"{finding.what}. {finding.change} {waive}")
    return True


def limits(operation: Operation) -> dict:
    """Return what the web server in front says of itself: its time-out (seconds) and largest body (MB)."""
    try:
        text = Path(operation.request["web_server_config"]).read_text()
    except OSError:
        return {}
    found = {
        "proxy_timeout": re.search(r"^\s*proxy_read_timeout (\d+)s;", text, re.M),
        "body_megabytes": re.search(r"^\s*client_max_body_size (\d+)m;", text, re.M),
    }
    stop = host.limit((operation.release.service,), "Stop")
    own = {"proxy_hops": operation.request["proxy_hops"], "stop_seconds": None if stop == math.inf else stop}
    return own | {key: int(hit[1]) for key, hit in found.items() if hit}


def gunicorn_arguments(operation: Operation) -> str:
    """Return the arguments that gunicorn gets besides those of its command line."""
    own = decode_environment((operation.release.directory / "env").read_text())
    shown = systemctl("show", "--property=Environment", "--value", operation.release.service, check=False).stdout
    units = dict(word.partition("=")[::2] for word in shlex.split(shown))
    return own.get("GUNICORN_CMD_ARGS", units.get("GUNICORN_CMD_ARGS", ""))


def start(operation: Operation) -> None:
    """Start the new release beside the old one."""
    operation.step("start")
    operation.begun = time.time()
    if active(operation.release.socket_unit, operation.release.service):
        return  # kept warm
    systemctl("reset-failed", operation.release.socket_unit, operation.release.service, check=False)
    for unit in (operation.release.socket_unit, operation.release.service):
        if not host.start(unit):
            raise Failure("start", f"{unit} did not start", operation.release.log(unit, operation.begun))


def health(operation: Operation) -> None:
    """Ask the new release for the health path over its own socket until it answers well."""
    operation.step("health")
    path, deadline = operation.request["health_path"], time.monotonic() + operation.request["health_timeout"]
    said, unit = "nothing", operation.release.service
    restarts = watch.condition([unit])[unit]["NRestarts"]
    while True:
        try:
            status, body = operation.release.get(
                path, operation.request["host"], min(10, operation.request["health_timeout"])
            )
            if 200 <= status < 400:
                break
            said = f"{status} {' '.join(operation.release.redact(body).split())[:120]}"
        except (OSError, http.client.HTTPException) as error:
            said = f"{type(error).__name__}: {error}"
        log = unit, operation.begun
        # A worker that cannot boot ends gunicorn, and systemd begins again: between two of that it is up for a moment.
        now = watch.condition([unit])[unit]
        if now["ActiveState"] != "active" or now["NRestarts"] != restarts:
            raise Failure("health", "the new release ended by itself", operation.release.log(*log))
        if time.monotonic() > deadline:
            within = f"within {operation.request['health_timeout']} s"
            reason = f"GET {path} did not answer 2xx or 3xx {within}; the last answer was: {said}"
            raise Failure("health", reason, operation.release.log(*log))
        time.sleep(0.25)
    no_console(operation)


def no_console(operation: Operation) -> None:
    """Refuse a release that answers with Werkzeug's debugger, which runs what anybody types."""
    if operation.waived("console") or operation.state["operation"] == "roll-back":
        return
    try:
        path = "/?__debugger__=yes&cmd=resource&f=debugger.js"
        status, body = operation.release.get(path, operation.request["host"], 10, 4096)
    except (OSError, http.client.HTTPException):
        return
    if status == 200 and "__debugger__" in body and "EVALEX" in body:
        reason = "Werkzeug's console answers, in which anybody can run Python. Take DebuggedApplication out."
        raise Failure("check console", reason)
