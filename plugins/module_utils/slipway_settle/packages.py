"""Debian packages that are to be installed: next to no time where they are."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.slipway_light.machine import Module

# In /run, so that it does not outlive the machine's image or its sleep.
FETCHED = Path("/run/slipway/package-lists")
FRESH_SECONDS = 3600
LISTS = Path("/var/lib/apt/lists")
JOURNAL = Path("/var/lib/dpkg/updates")
ATTEMPTS = 3
FIRST_BOOT = Path("/run/cloud-init")
APT = [
    "apt-get",
    "--quiet",
    "--yes",
    "--no-install-recommends",
    "--option=Dpkg::Options::=--force-confdef",
    "--option=Dpkg::Options::=--force-confold",
]


def states_of(printed: str) -> dict[str, str]:
    """Packages and their states, such as "ii ", of what dpkg-query printed with db:Status-Abbrev before the names."""
    return {line[3:].strip(): line[:3] for line in printed.splitlines() if len(line) > 3}


def is_interrupted(states: dict[str, str]) -> bool:
    """Whether a package is in a state between the two that last (installed, removed), or to be installed again."""
    return any(re.match(".([UFHWt]|.R)", state) for state in states.values())


def lists_are_fresh(now: float) -> bool:
    """Whether this module has fetched the lists within the hour: their own age says nothing on a new machine."""
    if not FETCHED.exists() or now - FETCHED.stat().st_mtime > FRESH_SECONDS:
        return False
    return any(LISTS.glob("*_Packages*"))


class Outcome(NamedTuple):
    """What was found: packages that are missing, and whether an installation was interrupted."""

    missing: list[str]
    interrupted: bool


class Packages:
    """The packages of this machine."""

    def __init__(self, module: Module, names: list[str], lock_timeout: int) -> None:
        self.module = module
        self.names = list(dict.fromkeys(names))
        self.lock_timeout = lock_timeout
        self.environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}

    def run(self, command: list[str], attempts: int = 1) -> tuple[int, str]:
        """Run it, again while another program holds a lock, and so many times in all; its status and what it said."""
        end = time.monotonic() + self.lock_timeout
        while True:
            status, out, err = self.module.run_command(command, environ_update=self.environment)
            if status == 0:
                return status, out
            if not ("lock" in err and time.monotonic() < end):
                attempts -= 1
                if attempts <= 0:
                    return status, f"{out}\n{err}"
            time.sleep(5)

    def must(self, command: list[str], attempts: int = ATTEMPTS) -> None:
        """Run it, or end the module with what it said."""
        status, said = self.run(command, attempts)
        if status != 0:
            tail = "\n".join(said.strip().splitlines()[-20:])
            self.module.fail_json(msg=f"{' '.join(command[:1] + command[-1:])} failed: {tail}", stdout=said)

    def missing(self) -> list[str]:
        """Those of the names that are not installed, or not wholly. A name with an architecture is asked as it is."""
        if not self.names:
            return []
        shown = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Package}\n", *self.names]
        # Status 1: one of them is not known at all.
        _, out, _ = self.module.run_command(shown, environ_update=self.environment)
        states = states_of(out)
        return [name for name in self.names if not re.match("[ih]i ", states.get(name.split(":")[0], ""))]

    def interrupted(self) -> bool:
        """Whether an installation was cut off, by what dpkg has written down and by what it had only begun to."""
        shown = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${binary:Package}\n"]
        _, out, _ = self.module.run_command(shown, environ_update=self.environment)
        return is_interrupted(states_of(out)) or any(JOURNAL.iterdir())

    def finish(self) -> None:
        """Finish an interrupted installation as far as dpkg can by itself."""
        command = ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"]
        status, said = self.run(command)
        # What waits for a package that was never unpacked is mended by apt, once it has lists.
        if status != 0 and "dependency problems" not in said and "lock" not in said:
            self.module.fail_json(msg=f"An interrupted installation could not be finished: {said.strip()[-2000:]}")

    def let_first_boot_finish(self) -> None:
        """Wait for cloud-init: a machine that was created a minute ago still configures and upgrades itself."""
        if (FIRST_BOOT / "enabled").exists() and not (FIRST_BOOT / "result.json").exists():
            # How it ends is not looked at: with complaints of its own it has finished too.
            self.module.run_command(["timeout", str(self.lock_timeout), "cloud-init", "status", "--wait"])

    def fetch_lists(self) -> None:
        """Fetch the lists of packages, unless that was done within the hour."""
        if lists_are_fresh(time.time()):
            return
        self.must(["apt-get", "--quiet", "--option=APT::Update::Error-Mode=any", "update"])
        FETCHED.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        FETCHED.touch()

    def settle(self) -> Outcome:
        """Finish what was interrupted and install what is missing. A check only looks."""
        if not self.module.check_mode:
            self.let_first_boot_finish()
        found = Outcome(self.missing(), self.interrupted())
        if self.module.check_mode or not any(found):
            return found
        if found.interrupted:
            self.finish()
        self.fetch_lists()
        wait = f"--option=DPkg::Lock::Timeout={self.lock_timeout}"
        if found.interrupted:
            # dpkg alone cannot mend everything: apt takes the package once more, or one that it depends on.
            self.must([*APT, wait, "--fix-broken", "install"])
        if self.missing():
            self.must([*APT, wait, "install", *self.names])
        return found
