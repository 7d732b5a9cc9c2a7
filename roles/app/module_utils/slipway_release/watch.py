"""Comparing a new release with the one before it, by the web server's own log and by its workers."""

from __future__ import annotations

import http.client
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .host import Failure, active, systemctl
from .traffic import OTHER, Request, Traffic, chance, requests

if TYPE_CHECKING:
    from .engine import Operation
    from .release import Release

# How likely a difference may be without a cause, of all that is looked at, once a second.
_CHANCE = 0.001
# From so many requests on a time as long as the watch says enough of a route.
_ENOUGH = 20
# How many addresses are asked for again in one look, and how long (seconds) an answer may take.
_PROBES, _PROBE_SECONDS = 3, 3
# So many clients must meet an error that does not come again when it is asked for, or all that use the route.
_CLIENTS = 3

_DYING = re.compile(
    r"WORKER TIMEOUT|Worker \(pid:\d+\) (exited with code [1-9]|was sent SIG(?!TERM|QUIT|INT))|Worker failed to boot"
)


class Log:
    """The web server's access log of an app, read on from where one stopped."""

    def __init__(self, file: str) -> None:
        self.file = Path(file) if file else None
        self.offset, self.inode = 0, 0
        self.seen, self.opened = Traffic(), time.time()
        if self.there():
            status = self.file.stat()
            self.offset, self.inode = status.st_size, status.st_ino

    def there(self) -> bool:
        """Say whether there is a log."""
        return self.file is not None and self.file.is_file()

    def before(self, seconds: float = 0, size: int = 4194304) -> Traffic:
        """Return the requests before the log was opened, of so many seconds or (0) all, from its last bytes."""
        if not self.there():
            return Traffic()
        with open(self.file, "rb") as handle:
            handle.seek(max(0, self.offset - size))
            found = requests(handle.read(self.offset - handle.tell()).decode("utf-8", "replace"))
        return Traffic().add(each for each in found if not seconds or each.at >= self.opened - seconds)

    def more(self) -> Traffic:
        """Return all requests since the log was opened."""
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
        return self.seen.add(requests(whole.decode("utf-8", "replace")))


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


class Comparison:
    """What the log says of the new release, beside what it said of the old one and what that one says now.

    ``span`` is the time before the switch that is as long as the watch, ``earlier`` all that the log still has.
    ``ask`` makes a GET again and says whether it fails on the new release, and whether on the old one, which still
    runs. An error counts where it is made again and only the new release fails; or, where that says nothing (what
    changes something is not made again), where the same route did better before by more than chance, for as many
    clients as use it. What fails on both, whoever asks for it, counts for nothing.
    """

    def __init__(
        self,
        span: Traffic,
        earlier: Traffic,
        ask: Callable[[Request], tuple[bool, bool]],
        has_old: bool,
        percent: float,
        least: int,
    ) -> None:
        self.span, self.earlier, self.ask, self.has_old = span, earlier, ask, has_old
        self.percent, self.least = percent, least
        # What was asked again, by host, path and query; and how often a route was.
        self.asked: dict[tuple[str, str], tuple[bool, bool]] = {}
        self.often: Counter[str] = Counter()

    def before(self, route: str) -> Traffic:
        """Return where a route was counted before: in as long a time, or where that has little of it, in all."""
        enough = self.span.routes.get(route, Counter())["all"] >= _ENOUGH
        return self.span if enough else self.earlier

    def probe(self, traffic: Traffic) -> None:
        """Ask both releases again for some of what failed, of routes first that were asked for least."""
        for route in sorted(traffic.errors, key=lambda each: self.often[each])[:_PROBES]:
            self.often[route] += 1
            for request in traffic.errors[route]:
                key = request.host, request.safe_target
                if request.safe_target and key not in self.asked:
                    self.asked[key] = self.ask(request)
                    break

    def counts(self, route: str, traffic: Traffic) -> tuple[int, int]:
        """Return how many errors of a route are confirmed, and how many say something only by their number."""
        confirmed, others = 0, Counter()
        for request in traffic.errors[route]:
            target = request.safe_target
            new, old = self.asked.get((request.host, target), (False, bool(target)))
            confirmed += new and not old
            # Not asked yet, or fails on the old release too: nothing. Both answer well: it depends on who asks.
            others[request.client] += not new and not old
        regulars = self.before(route).clients.get(route, set())
        others = +others
        # One client, and whoever never used the route before, cannot speak for all.
        if len(others) < min(_CLIENTS, len(regulars)):
            return confirmed, 0
        return confirmed, sum(number if client in regulars else 1 for client, number in others.items())

    def judge(self, traffic: Traffic) -> str:
        """Return in words what the new release does worse, or ""."""
        if traffic.total["errors"] < self.least:
            return ""
        self.probe(traffic)
        if not self.has_old:
            fails = any(new for new, _old in self.asked.values())
            return worse(Counter(), traffic.total, 50, self.least) if fails else ""
        sure: tuple[Counter, Counter] = Counter(), Counter()
        strata: list[tuple[Counter, Counter]] = []
        for route in set(traffic.errors) - {OTHER}:
            confirmed, others = self.counts(route, traffic)
            before, whole = self.before(route).routes.get(route, Counter()), traffic.routes[route]
            well = whole["all"] - whole["errors"]
            if confirmed:
                sure[0].update(before)
                sure[1].update(all=well + confirmed, errors=confirmed)
            if before["all"] and others:
                strata.append((before, Counter(all=well + others, errors=others)))
        return self.confirmed(*sure, traffic) or self.unlikely(strata, len(traffic.errors))

    def confirmed(self, before: Counter[str], after: Counter[str], traffic: Traffic) -> str:
        """Return in words that the new release, and it alone, fails what is asked of both; it must do so once more."""
        said = worse(before, after, self.percent, self.least)
        if not said:
            return ""
        errors = (request for errors in traffic.errors.values() for request in errors)
        again = next(each for each in errors if self.asked.get((each.host, each.safe_target)) == (True, False))
        self.asked[again.host, again.safe_target] = self.ask(again)
        if self.asked[again.host, again.safe_target] != (True, False):
            return ""
        return f"{said}, and what the old release answers well fails again when it is asked for"

    def unlikely(self, strata: list[tuple[Counter, Counter]], tests: int) -> str:
        """Return in words that errors are more than chance makes them, on one route or on all of them together."""
        for some in [[pair] for pair in strata] + ([strata] if strata else []):
            before, after = (sum((pair[side] for pair in some), Counter()) for side in (0, 1))
            said = worse(before, after, self.percent, self.least)
            if said and chance(some) < _CHANCE / (tests + 1):
                return said
        return ""


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
    begun_with, comparison, failed, switched = condition(units), compared(operation), 0, time.time()
    dying = len(dying_workers(operation.old.service, switched - seconds)) if operation.old else 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(1.0, seconds))
        now = condition(units)
        for unit in units:
            if now[unit]["ActiveState"] != "active" or now[unit]["NRestarts"] != begun_with[unit]["NRestarts"]:
                raise Failure("watch", f"{unit} ended by itself", operation.release.log(unit, operation.begun))
        found = comparison.judge(operation.log.more())
        if found:
            reason = f"{found}; for example {operation.log.seen.example}"
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


def compared(operation: Operation) -> Comparison:
    """Return the comparison of the new release with the old one, which is still up beside it."""
    old = operation.old if operation.old and operation.replaces and active(operation.old.service) else None
    request = operation.request

    def ask(asked: Request) -> tuple[bool, bool]:
        host = asked.host or request["host"]
        new = fails(operation.release, asked.safe_target, host)
        return new, bool(old) and fails(old, asked.safe_target, host)

    span, earlier = operation.log.before(request["watch"]), operation.log.before()
    return Comparison(span, earlier, ask, bool(old), request["watch_percent"], request["watch_errors"])


def fails(release: Release, target: str, host: str) -> bool:
    """Say whether a release answers a GET by an error of the server, or not at all in time."""
    try:
        return release.get(target, host, _PROBE_SECONDS)[0] >= 500
    except (OSError, http.client.HTTPException):
        return True


def condition(units: list[str]) -> dict[str, dict[str, str]]:
    """Return of each unit whether it is up (ActiveState), and how often systemd restarted it (NRestarts)."""
    shown = systemctl("show", "--property=ActiveState,NRestarts", *units).stdout.strip().split("\n\n")
    said = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown]
    return dict(zip(units, said, strict=True))
