"""How many workers and threads: requests per second of each combination behind nginx, and what it takes of memory."""

from __future__ import annotations

import itertools

from machines import Machine, Site
from serve import Measured, install_wrk, load

# The app answers it after 50 ms of waiting, as one that asks another service does.
WAITS = """
@app.get("/waits")
def waits():
    import time

    time.sleep(0.05)
    return "waited"
"""
WORKERS = [2, 3, 5]
THREADS = [1, 4, 8]
PATHS = {"trivial": "/healthz", "query": "/", "waits": "/waits"}
ROUNDS = 3
SETTLE = """
mkdir -p /run/systemd/system/guestbook-web@.service.d
cat > /run/systemd/system/guestbook-web@.service.d/bench.conf <<END
[Service]
Environment=WEB_CONCURRENCY={workers}
Environment="GUNICORN_CMD_ARGS={arguments} --threads {threads}"
END
systemctl daemon-reload
systemctl restart 'guestbook-web@*.service'
"""
ARGUMENTS = "systemctl show --property=Environment --value 'guestbook-web@*.service'"
MEMORY = "systemctl show --property=MemoryCurrent --value 'guestbook-web@*.service'"


def add_path(site: Site) -> None:
    """Give the app, before it is deployed, the path that waits."""
    with (site.source / "wsgi.py").open("a") as file:
        file.write(WAITS)


def combinations(machine: Machine) -> dict[str, dict[str, float]]:
    """Medians of each, in turn: requests per second of each path, p99 of the query in ms, memory in MiB."""
    install_wrk(machine)
    said = machine.shell(ARGUMENTS)
    arguments = said.split('"GUNICORN_CMD_ARGS=', 1)[1].split('"', 1)[0]
    measured = Measured()
    for _, workers, threads in itertools.product(range(ROUNDS), WORKERS, THREADS):
        machine.shell(SETTLE.format(workers=workers, threads=threads, arguments=arguments))
        run = {}
        for name, path in PATHS.items():
            figures = load(machine, f"https://localhost{path}")
            run[name] = figures["requests_per_second"]
            if name == "query":
                run["p99_milliseconds"] = figures["p99_milliseconds"]
        run["mebibytes"] = int(machine.shell(MEMORY)) / 2**20
        measured.add(f"{workers} x {threads}", run)
    return measured.medians()
