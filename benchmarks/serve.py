"""How much of gunicorn's own speed is left behind nginx, and what nginx serves by itself. Measured on the machine."""

from __future__ import annotations

import os
import re
from statistics import median

from machines import Machine

CONNECTIONS = 16
SECONDS = 3
ROUNDS = 5
# Two rates that differ by an eighth are told apart only by many measurements right after one another.
TRIVIAL_ROUNDS = 15
BY_FLASK = "static, Flask behind nginx"
APART = "static apart"
PORT = 8001
PATHS = {"trivial": "/healthz", "query": "/", "static": "/static/{static}"}
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def load(machine: Machine, url: str, core: int | None = None) -> dict[str, float]:
    """Requests per second and the 99th percentile of their times, in milliseconds, of wrk over HTTP/1.1.

    On ``core`` where one is named. Raises RuntimeError where a request was not answered with 2xx.
    """
    # One thread of wrk is enough for what two cores serve, and takes the least of them.
    how = f"--threads 1 --connections {CONNECTIONS} --duration {SECONDS}s --latency --header 'Host: bench.example'"
    where = "" if core is None else f"taskset --cpu-list {core} "
    said = machine.shell(f"{where}wrk {how} {url}")
    rate, slow = re.search(r"Requests/sec: +([0-9.]+)", said), re.search(r"99% +([0-9.]+)(us|ms|s)\b", said)
    if not rate or not slow or re.search("Non-2xx|Socket errors", said):
        raise RuntimeError(f"{url} was not answered as it should be:\n{said}")
    return {"requests_per_second": float(rate[1]), "p99_milliseconds": round(float(slow[1]) * UNITS[slow[2]], 3)}


def install_wrk(machine: Machine) -> None:
    """Install what makes the load."""
    machine.shell("apt-get install -y -qq --no-install-recommends wrk >/dev/null")


class Measured:
    """What was measured, by name."""

    def __init__(self) -> None:
        self.runs: dict[str, list[dict[str, float]]] = {}

    def add(self, name: str, figures: dict[str, float]) -> None:
        """Add the figures of a run."""
        self.runs.setdefault(name, []).append(figures)

    def medians(self) -> dict[str, dict[str, float]]:
        """The median of each figure, by name."""
        return {
            name: {key: round(median(run[key] for run in runs), 3) for key in runs[0]}
            for name, runs in self.runs.items()
        }

    def ratio(self, name: str, other: str) -> float:
        """By how much more requests a second are answered: the median of the ratios of two runs after one another.

        What slows down the computer for a while does so to both of them.
        """
        pairs = zip(self.runs[name], self.runs[other], strict=True)
        return round(median(one["requests_per_second"] / two["requests_per_second"] for one, two in pairs), 3)


# For static files what serves gets the first core and the load another one, besides the measure on shared cores: on
# those, wrk takes half of two to ask for static files and next to nothing to ask Flask, so that what it leaves to the
# server is compared.
SERVERS = ("postgresql@.service", "nginx.service", "guestbook-web@.service")
PIN = f"""
for unit in {" ".join(SERVERS)}; do
    mkdir -p /run/systemd/system/$unit.d
    printf '[Service]\nCPUAffinity=0\n' > /run/systemd/system/$unit.d/bench.conf
done
systemctl daemon-reload
systemctl restart 'postgresql@*' nginx 'guestbook-web@*.service'
"""
# wrk knows no unix sockets: the release that serves is asked by TCP too.
OPEN_PORT = f"""
name=guestbook-web@$(basename $(readlink /srv/guestbook/current))
mkdir -p /run/systemd/system/$name.socket.d
printf '[Socket]\nListenStream=127.0.0.1:{PORT}\n' > /run/systemd/system/$name.socket.d/bench.conf
systemctl daemon-reload
systemctl stop $name.service
systemctl restart $name.socket
systemctl start $name.service
"""


def serving(machine: Machine) -> dict[str, dict]:
    """Medians of each path over nginx and TLS, and of gunicorn itself; and the ratios that count.

    Static files also as Flask serves them behind the same nginx, which asks it for what it does not find itself; and
    with a core for what serves and another one for the load, where there are two.
    """
    install_wrk(machine)
    machine.shell(OPEN_PORT)
    public = "/srv/guestbook/current/public/static"
    static = machine.shell(f"cd {public} && find . -name '*.css' | head -n 1").strip().removeprefix("./")
    paths = {name: path.format(static=static) for name, path in PATHS.items()}
    file = f"https://localhost{paths['static']}"
    measured = Measured()

    def by_flask(name: str, core: int | None = None) -> None:
        machine.shell(f"mv {public} {public}.away; sleep 2")
        measured.add(name, load(machine, file, core))
        machine.shell(f"mv {public}.away {public}; sleep 2")

    def by_both(name: str) -> None:
        for server, base in (("nginx", "https://localhost"), ("gunicorn", f"http://localhost:{PORT}")):
            measured.add(f"{name}, {server}", load(machine, base + paths[name]))

    for _ in range(ROUNDS):
        for name in paths:
            by_both(name)
        by_flask(BY_FLASK)
    for _ in range(TRIVIAL_ROUNDS - ROUNDS):
        by_both("trivial")
    ratios = {"trivial": measured.ratio("trivial, nginx", "trivial, gunicorn")}
    ratios["static"] = measured.ratio("static, nginx", BY_FLASK)
    cores = os.cpu_count() or 1
    if cores > 1:
        machine.shell(PIN)
        for _ in range(ROUNDS):
            measured.add(f"{APART}, nginx", load(machine, file, cores - 1))
            by_flask(f"{APART}, Flask", cores - 1)
        ratios[APART] = measured.ratio(f"{APART}, nginx", f"{APART}, Flask")
    return {"serving": measured.medians(), "served_ratios": ratios}
