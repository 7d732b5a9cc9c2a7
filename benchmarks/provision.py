"""How long Slipway's playbooks take, against a naive script that serves the same app."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from machines import ROOT, Machine, Site, certificate_authorities

# A step of an operation on a release, as it begins.
JOURNAL = re.compile(r"^([0-9.]+) .*: [0-9a-f]{12}: ([a-z ]+)$", re.M)
STEP = re.compile(r"^(\S.*?) -+ ([0-9.]+)s$", re.M)


def timed(action: object, *arguments: object) -> float:
    """Call it and return how long it took, in seconds."""
    begun = time.monotonic()
    action(*arguments)  # type: ignore[operator]
    return time.monotonic() - begun


def floor(machine: Machine) -> float:
    """Seconds that the naive script takes on a bare machine. What it needs is copied there before."""
    machine.copy(ROOT / "sample_app", "/opt/app/src")
    machine.copy(Path(__file__).with_name("floor.sh"), "/root/floor.sh")
    bundle = certificate_authorities()
    if bundle:
        machine.copy(bundle, "/root/ca.pem")
    return timed(machine.shell, f"{'PIP_CERT=/root/ca.pem' if bundle else ''} bash /root/floor.sh")


class Playbook(RuntimeError):
    """A playbook failed."""


def play(site: Site, playbook: str, *arguments: str, expected: str = "") -> tuple[float, dict[str, float]]:
    """Run a playbook; how long it took in all and each of its steps, in seconds. Raises Playbook where it fails."""
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
        "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
        "ANSIBLE_NOCOLOR": "1",
        "UV_CACHE_DIR": str(site.directory / "uv"),
    }
    command = ["ansible-playbook", playbook, "-i", str(site.directory / "bench.yml"), *arguments]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    if done.returncode != 0 or expected not in done.stdout:
        raise Playbook(
            f"{' '.join(command)}: expected {expected or 'success'}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
        )
    steps: dict[str, float] = {}
    for name, spent in STEP.findall(done.stdout):
        steps[name] = steps.get(name, 0) + float(spent)
    return seconds, steps


def switches(machine: Machine) -> list[float]:
    """Milliseconds of each switch to another release on the machine, by its journal: from that step to the next."""
    said = machine.shell("journalctl --unit=guestbook-deploy.service --output=short-unix --no-pager")
    steps = [(float(moment), step) for moment, step in JOURNAL.findall(said)]
    return [
        round(1000 * (after - moment), 1)
        for (moment, step), (after, _) in zip(steps, steps[1:], strict=False)
        if step == "switch"
    ]


def one_round(site: Site, machine: Machine, number: int) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Everything that is measured on one fresh machine: seconds by measure, and the steps of the first two."""
    seconds, steps = {}, {}
    seconds["bare"], steps["bare"] = play(site, "site.yml")
    seconds["again"], steps["again"] = play(site, "site.yml", expected="changed=0")
    site.change_code(f"round {number}")
    seconds["code"], steps["code"] = play(site, "playbooks/deploy.yml")
    site.change_setting(f"round {number}")
    seconds["setting"], _ = play(site, "playbooks/deploy.yml")
    seconds["roll-back"], _ = play(site, "playbooks/roll-back.yml")
    return seconds, steps
