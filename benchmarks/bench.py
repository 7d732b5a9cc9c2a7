"""make bench: measure Slipway against a naive script, on fresh machines of this computer, in one run.

Medians of interleaved repetitions; what counts are the ratios, since computers are noisy. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import ansible.release
from machines import ROOT, Machine, Site, run
from provision import floor, one_round, play, switches
from report import plot, table
from serve import serving
from workers import add_path, combinations

KEPT = ROOT / "docs/benchmarks"
FLEET = [1, 4, 8]
PARTS = ["fleet", "rounds", "serving"]
ON_DEMAND = ["workers"]


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"==> {text}", file=sys.stderr, flush=True)


class Bench:
    """One run: its machines, and what was measured."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        self.arguments, self.directory = arguments, directory
        self.key = directory / "id_ed25519"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)])
        self.result: dict = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "debian": arguments.debian,
            "cores": os.cpu_count(),
            "ansible_core": ansible.release.__version__,
            "repetitions": arguments.repeat,
            "seconds": {},
            "switch_milliseconds": [],
            "steps": {},
        }

    def machine(self, name: str) -> Machine:
        """A bare machine."""
        return Machine(f"slipway-bench-{name}{os.environ.get('SLIPWAY_SUFFIX', '')}", self.arguments.debian, self.key)

    def note(self, seconds: dict[str, float]) -> None:
        """Add the figures of a repetition."""
        for name, value in seconds.items():
            say(f"{name}: {value:.1f} s")
            self.result["seconds"].setdefault(name, []).append(round(value, 2))

    def rounds(self) -> None:
        """The naive script and Slipway in turn, each on a machine that nothing was done to."""
        every: list[dict] = []
        for number in range(1, self.arguments.repeat + 1):
            say(f"Repetition {number} of {self.arguments.repeat}: the naive script")
            machine = self.machine("floor")
            self.note({"floor": floor(machine)})
            machine.remove()
            say(f"Repetition {number} of {self.arguments.repeat}: site.yml, and what comes after it")
            machine = self.machine("site")
            site = Site(self.directory / "site", [machine], self.key)
            seconds, steps = one_round(site, machine, number)
            self.note(seconds)
            every.append(steps)
            self.result["switch_milliseconds"] += switches(machine)
            if number == self.arguments.repeat and "serving" in self.arguments.parts:
                say("What is served, and how fast")
                self.result |= serving(machine)
            machine.remove()
        for name in every[0]:
            names = every[-1][name]
            self.result["steps"][name] = {
                step: round(median(steps[name].get(step, 0) for steps in every), 2) for step in names
            }

    def workers(self) -> None:
        """One machine with each combination of workers and threads in turn."""
        say("Workers and threads")
        machine = self.machine("workers")
        site = Site(self.directory / "workers", [machine], self.key)
        add_path(site)
        play(site, "site.yml")
        self.result["workers"] = combinations(machine)
        machine.remove()

    def fleet(self) -> None:
        """A run that changes nothing on one machine, and on several."""
        say(f"{FLEET[-1]} machines at once")
        machines = [self.machine(f"fleet{number}") for number in range(1, FLEET[-1] + 1)]
        try:
            site = Site(self.directory / "fleet", machines, self.key)
            play(site, "site.yml")
            limits = {number: ":".join(machine.name for machine in machines[:number]) for number in FLEET}
            spent: dict[int, list[float]] = {number: [] for number in FLEET}
            for _ in range(self.arguments.repeat):
                for number, limit in limits.items():
                    spent[number].append(
                        play(site, "site.yml", "--limit", f"{limit}:localhost", expected="changed=0")[0]
                    )
            self.result["machines"] = {str(number): round(median(values), 2) for number, values in spent.items()}
        finally:
            for machine in machines:
                machine.remove()


def main() -> None:
    """Measure, print a table, and write the result where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="how many times each is measured")
    parser.add_argument("--debian", default="12", choices=["12", "13"])
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS + ON_DEMAND)
    parser.add_argument("--keep", action="store_true", help="keep the result and its plot in docs/benchmarks")
    arguments = parser.parse_args()
    if arguments.keep and not set(PARTS) <= set(arguments.parts):
        parser.error("what is kept is a whole run: leave --parts out")
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(arguments, Path(directory))
        if "fleet" in arguments.parts:
            bench.fleet()
        if "rounds" in arguments.parts or "serving" in arguments.parts:
            bench.rounds()
        if "workers" in arguments.parts:
            bench.workers()
    last = KEPT / "latest.json"
    print(table(bench.result, json.loads(last.read_text()) if last.exists() else None))
    if arguments.keep:
        KEPT.mkdir(exist_ok=True)
        last.write_text(json.dumps(bench.result, indent=1) + "\n")
        (KEPT / "latest.svg").write_text(plot(bench.result))


if __name__ == "__main__":
    main()
