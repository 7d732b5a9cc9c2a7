"""What the web server's log says of an app's requests, route by route, and whether one time is worse than another.

A route is a method and a path in which what looks like a number, a hash or a UUID is a star: what one route answers
says nothing of another, however busy that is.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# A request that the app answered, or that the web server could not bring to it: "... 200 12 ... upstream=0.01/200"
_LINE = re.compile(
    r'^(?P<client>\S+) - .*? \[(?P<time>[^]]*)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3})'
    r" .* upstream=\S+/(?P<upstream>\d{3})\s*$",
    re.M,
)
_HOST = re.compile(r" host=([\w.:-]+) time=")
_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<target>/[!-~]*) HTTP/[\d.]+")
# Parts of a path that name one of many things of a kind.
_ONE_OF_MANY = re.compile(
    r"\d+|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|(?=[^/]*\d)[0-9A-Fa-f]{6,}|(?=[^/]*\d)[\w~.=-]{16,}|[\w~.=-]{33,}"
    r"|\d[\d.,:_-]*|v?\d+(?:\.\d+)+",
)
# So many routes are told apart; a stranger may invent more, all of which then are one.
_MOST_ROUTES = 2000
_MOST_CLIENTS = 5000
OTHER = "* *"


@dataclass(frozen=True)
class Request:
    """A request that was answered: by whom, when (seconds since 1970), and what it was answered."""

    client: str
    at: float
    text: str
    host: str
    is_error: bool
    status: int

    @property
    def route(self) -> str:
        """The method and the path's template; OTHER for what is no request for a path."""
        found = _REQUEST.fullmatch(self.text)
        return f"{found['method']} {template(found['target'])}" if found else OTHER

    @property
    def safe_target(self) -> str:
        """The path and query of a request that changes nothing and can be made again; "" for others."""
        found = _REQUEST.fullmatch(self.text)
        return found["target"] if found and found["method"] in ("GET", "HEAD") and "\\" not in found["target"] else ""


def template(target: str) -> str:
    """Return a path, without its query, with a star for each part that names one of many things."""
    parts = target.partition("?")[0].partition("#")[0].split("/")
    return "/".join("*" if _ONE_OF_MANY.fullmatch(part) else part for part in parts)[:200]


def requests(text: str) -> Iterator[Request]:
    """Read the lines of a log that are whole."""
    for found in _LINE.finditer(text):
        host = _HOST.search(found[0])
        try:
            at = datetime.datetime.fromisoformat(found["time"]).timestamp()
        except ValueError:
            at = 0.0
        status = int(found["status"])
        yield Request(found["client"], at, found["request"], host[1] if host else "", status >= 500, status)


@dataclass
class Traffic:
    """Counted requests: ``all`` and ``errors`` of each route, and those errors themselves."""

    total: Counter[str] = field(default_factory=Counter)
    routes: dict[str, Counter[str]] = field(default_factory=dict)
    # Who was answered well, by which route.
    clients: dict[str, set[str]] = field(default_factory=dict)
    errors: dict[str, list[Request]] = field(default_factory=dict)
    example: str = ""

    def add(self, more: Iterable[Request]) -> Traffic:
        """Count more requests; return this."""
        for request in more:
            route = request.route
            if route not in self.routes and len(self.routes) >= _MOST_ROUTES:
                route = OTHER
            counted = self.routes.setdefault(route, Counter())
            for counter in (self.total, counted):
                counter["all"] += 1
                counter["errors"] += request.is_error
            if request.is_error:
                self.errors.setdefault(route, []).append(request)
                self.example = f"{request.text} was answered {request.status}"
            elif len(self.clients.setdefault(route, set())) < _MOST_CLIENTS:
                self.clients[route].add(request.client)
        self.total += Counter()  # nothing counted is no key
        return self


def chance(strata: list[tuple[Counter[str], Counter[str]]]) -> float:
    """Return how likely as many errors, or more, are in the second of each pair if nothing is different.

    Fisher's exact test over several tables at once (the exact form of Cochran, Mantel and Haenszel): each route is
    compared with itself alone. One that always fails, or never does, says nothing.
    """
    total, seen = [1.0], 0
    for before, after in strata:
        size, bad, drawn = before["all"] + after["all"], before["errors"] + after["errors"], after["all"]
        low, high = max(0, drawn + bad - size), min(drawn, bad)
        all_ways = _choose(size, drawn)
        some = (_choose(bad, number) + _choose(size - bad, drawn - number) for number in range(low, high + 1))
        total = _convolved(total, [math.exp(each - all_ways) for each in some])
        seen += after["errors"] - low
    return min(1.0, sum(total[seen:]))


def _choose(of: int, number: int) -> float:
    """Return the logarithm of the number of ways to choose."""
    return math.lgamma(of + 1) - math.lgamma(number + 1) - math.lgamma(of - number + 1)


def _convolved(one: list[float], other: list[float]) -> list[float]:
    """Return the distribution of a sum; what is less likely than can matter is left out at its far end."""
    made = [0.0] * (len(one) + len(other) - 1)
    for index, weight in enumerate(one):
        if weight < 1e-15:
            continue
        for more, factor in enumerate(other):
            made[index + more] += weight * factor
    return made
