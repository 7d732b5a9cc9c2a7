"""Comparing a new release with the one before it, by the web server's own log and by its workers."""

from __future__ import annotations

import http.client
import re
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from .host import Failure, systemctl

if TYPE_CHECKING:
    from .engine import Operation

# A request that the app answered, or that the web server could not bring to it: "... 200 12 ... upstream=0.01/200"
_LINE = re.compile(
    r'^\S+ - .*? \[[^]]*\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) .* upstream=\S+/(?P<upstream>\d{3})', re.M
)
_DYING = re.compile(
    r"WORKER TIMEOUT|Worker \(pid:\d+\) (exited with code [1-9]|was sent SIG(?!TERM|QUIT|INT))|Worker failed to boot"
)


class Log:
    """The web server's access log of an app, read on from where one stopped."""

    def __init__(self, file: str) -> None:
        self.file = Path(file) if file else None
        self.offset, self.inode = 0, 0
        self.seen: Counter[str] = Counter()
        self.example = ""
        if self.there():
            status = self.file.stat()
            self.offset, self.inode = status.st_size, status.st_ino

    def there(self) -> bool:
        """Say whether there is a log."""
        return self.file is not None and self.file.is_file()

    def before(self, size: int = 262144) -> Counter[str]:
        """Return how many of the last requests were answered, and how many of them by an error of the server."""
        if not self.there():
            return Counter()
        with open(self.file, "rb") as handle:
            handle.seek(max(0, self.offset - size))
            return count(handle.read(self.offset - handle.tell()).decode("utf-8", "replace"))[0]

    def more(self) -> Counter[str]:
        """Return the same of all requests since the log was opened."""
        if not self.there():
            return self.seen
        status = self.file.stat()
        if status.st_ino != self.inode or status.st_size < self.offset:
            self.offset, self.inode = 0, status.st_ino  # rotated
        with open(self.file, "rb") as handle:
            handle.seek(self.offset)
            text = handle.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        news, example = count(whole.decode("utf-8", "replace"))
        self.seen += news
        self.example = example or self.example
        return self.seen


def count(text: str) -> tuple[Counter[str], str]:
    """Count the requests of a log's lines as "all" and "errors"; return also the last request that was an error."""
    counted: Counter[str] = Counter()
    example = ""
    for found in _LINE.finditer(text):
        counted["all"] += 1
        if found["status"].startswith("5"):
            counted["errors"] += 1
            example = f"{found['request']} was answered {found['status']}"
    return counted, example


def worse(before: Counter[str], after: Counter[str], percent: float, least: int) -> str:
    """Return in words how the share of errors has grown by more than some percentage points, or "".

    Fewer errors than ``least`` say nothing.
    """
    if after["errors"] < least:
        return ""
    was = 100 * before["errors"] / before["all"] if before["all"] else 0.0
    now = 100 * after["errors"] / after["all"]
    if now - was <= percent:
        return ""
    return (
        f"{after['errors']} of {after['all']} requests since the switch were answered 5xx ({now:.1f} %;"
        f" {was:.1f} % before; more than {percent:g} points worse is too much)"
    )


def dying_workers(service: str, since: float) -> list[str]:
    """Return what gunicorn said of workers that died or hung, since a time (seconds since 1970)."""
    asked = ["journalctl", "--unit", service, f"--since=@{int(since)}", "--output=cat", "--no-pager"]
    said = subprocess.run(asked, capture_output=True, text=True).stdout.splitlines()
    return [line for line in said if _DYING.search(line)]


def over(operation: Operation) -> None:
    """Look at the new release for a while; a Failure where it ends, hangs or answers worse than the old one."""
    seconds = operation.request["watch"]
    if not seconds:
        return
    operation.step("watch")
    units = [operation.release.service, *operation.release.processes()]
    begun_with, before, failed, switched = condition(units), operation.log.before(), 0, time.time()
    dying = len(dying_workers(operation.old.service, switched - seconds)) if operation.old else 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(1.0, seconds))
        now = condition(units)
        for unit in units:
            if now[unit]["ActiveState"] != "active" or now[unit]["NRestarts"] != begun_with[unit]["NRestarts"]:
                raise Failure("watch", f"{unit} ended by itself", operation.release.log(unit, operation.begun))
        found = worse(
            before, operation.log.more(), operation.request["watch_percent"], operation.request["watch_errors"]
        )
        if found:
            reason = f"{found}; for example {operation.log.example}"
            raise Failure("watch", reason, operation.release.log(operation.release.service, operation.begun))
        deaths = dying_workers(operation.release.service, switched)
        if len(deaths) >= max(3, 2 * dying):
            raise Failure(
                "watch", f"{len(deaths)} workers died since the switch", [*map(operation.release.redact, deaths[-25:])]
            )
        try:
            status, _body = operation.release.get(operation.request["health_path"], operation.request["host"], 5)
            failed = 0 if status < 400 else failed + 1
        except (OSError, http.client.HTTPException):
            failed += 1
        if failed >= 3:
            reason = f"GET {operation.request['health_path']} failed three times in a row after the switch"
            raise Failure("watch", reason, operation.release.log(operation.release.service, operation.begun))


def condition(units: list[str]) -> dict[str, dict[str, str]]:
    """Return of each unit whether it is up (ActiveState), and how often systemd restarted it (NRestarts)."""
    shown = systemctl("show", "--property=ActiveState,NRestarts", *units).stdout.strip().split("\n\n")
    said = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown]
    return dict(zip(units, said, strict=True))
