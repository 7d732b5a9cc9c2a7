"""How much of gunicorn's own speed is left behind nginx, and what nginx serves by itself. Measured on the machine."""

from __future__ import annotations

import re

from machines import Machine

CONNECTIONS = 16
SECONDS = 5
SOCKET = "/srv/guestbook/current/web.sock"
PATHS = {"trivial": "/healthz", "query": "/", "static": "/static/{static}"}


def load(machine: Machine, url: str, base: str = "") -> dict[str, float]:
    """Requests per second and the 99th percentile of their times, in milliseconds, of h2load over HTTP/1.1.

    Raises RuntimeError where a request was not answered with 2xx.
    """
    words = f"h2load --h1 --clients={CONNECTIONS} --duration={SECONDS} --warm-up-time=1 --log-file=/tmp/times"
    said = machine.shell(f"rm -f /tmp/times; {words} --header='Host: bench.example' {base} {url}")
    answers = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
    if not answers or answers[1] == "0" or any(int(answers[kind]) for kind in (2, 3, 4)):
        raise RuntimeError(f"{url} was not answered as it should be:\n{said}")
    rate = float(re.search(r"finished in [^,]+, ([0-9.]+) req/s", said)[1])
    # Start in microseconds since 1970, status, and how long it took, in microseconds.
    times = sorted(int(line.split()[2]) for line in machine.shell("cat /tmp/times").splitlines())
    return {"requests_per_second": rate, "p99_milliseconds": times[len(times) * 99 // 100] / 1000}


def serving(machine: Machine) -> dict[str, dict[str, float]]:
    """Each path over nginx and TLS, over gunicorn's own socket, and static files as Flask itself serves them."""
    machine.shell("apt-get install -y -qq --no-install-recommends nghttp2-client >/dev/null")
    static = machine.shell(
        "cd /srv/guestbook/current/public/static && find . -type f -name '*.css' | head -n 1"
    ).strip()
    results = {}
    for name, path in PATHS.items():
        path = path.format(static=static.removeprefix("./"))
        results[f"{name}, nginx"] = load(machine, f"https://localhost{path}")
        results[f"{name}, gunicorn"] = load(machine, f"http://localhost{path}", f"--base-uri=unix:{SOCKET}")
    return results
