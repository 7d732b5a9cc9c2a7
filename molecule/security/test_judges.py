"""What programs say that are not ours: ssh-audit, testssl.sh, systemd-analyze, gixy, lynis, and a scan of all ports."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import time
from contextlib import suppress

import pytest
from machine import PROJECT

# What the test authority's certificates lack: a way to revoke them, and an end within a year.
THE_TEST_AUTHORITY_S = {"cert_extlifeSpan", "cert_revocation"}
# What is the host's where the machine is a container: its kernel, its devices, its name servers.
A_CONTAINERS = ["KRNL-6000", "KRNL-5788", "USB-3000", "MACF-6290", "NETW-2705"]
OURS = "'guestbook*' 'slipway*'"
# testssl.sh's checks, all of which the grade asks for, without its simulation of clients, which judges nothing.
TESTSSL_CHECKS = "-p -s -f -P -S -h -U"


def test_nothing_but_ssh_http_and_https_is_open(machine):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    at_once = 16400 if most == resource.RLIM_INFINITY else min(most, 16500) - 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (at_once + 100, most))
    opened, ports = [], list(range(1, 65536))
    for first in range(0, len(ports), at_once):
        asked = {}
        for port in ports[first : first + at_once]:
            asked[port] = socket.socket()
            asked[port].setblocking(False)
            asked[port].connect_ex((machine.address, port))
        # What answers does so at once: it is the next machine.
        time.sleep(1)
        for port, connection in asked.items():
            with connection, suppress(OSError):
                connection.getpeername()
                opened.append(port)
    assert opened == [22, 80, 443]


def test_ssh_audit_finds_neither_failure_nor_warning(machine):
    done = subprocess.run(["ssh-audit", "--level=warn", machine.address], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def exposure(machine, unit: str) -> float:
    """Return the exposure of a unit, as systemd-analyze scores it."""
    said = machine.shell(f"systemd-analyze security --no-pager '{unit}'")
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1])


def test_every_unit_of_ours_is_confined(machine):
    units = machine.shell(f"systemctl list-units --all --plain --no-legend --type=service {OURS}").splitlines()
    scores = {unit.split()[0]: exposure(machine, unit.split()[0]) for unit in units}
    assert {name.split("@")[0] for name in scores} >= {"guestbook-web", "guestbook-certificate.service"}
    assert {unit: score for unit, score in scores.items() if score > 1.5} == {}


@pytest.mark.parametrize(("unit", "most"), [("nginx.service", 3.0)])
def test_what_debian_brings_is_confined_too(machine, unit, most):
    assert exposure(machine, unit) <= most


def test_gixy_finds_nothing_in_nginx_s_configuration(machine, tmp_path):
    dump = tmp_path / "nginx.conf"
    dump.write_text(machine.shell("nginx -T 2>/dev/null") + "\n")
    done = subprocess.run(["gixy", "-f", "json", str(dump)], capture_output=True, text=True)
    assert json.loads(done.stdout) == [], done.stdout


def test_testssl_gives_the_best_grade(machine):
    if machine.shell(". /etc/os-release; echo $VERSION_ID") == "12":
        pytest.skip("Debian 12's testssl.sh gives no grade; the configuration is the same as on Debian 13")
    machine.shell("apt-get -qq install --no-install-recommends testssl.sh bsdextrautils dnsutils curl >/dev/null 2>&1")
    machine.shell(
        f"echo '{machine.address} guestbook.example' >> /etc/hosts;"
        f" testssl {TESTSSL_CHECKS} --quiet --color 0 --warnings off"
        " --add-ca $(echo /usr/local/share/ca-certificates/slipway-*.crt | tr ' ' ,)"
        f" --jsonfile /root/testssl.json --ip {machine.address} https://guestbook.example >/root/testssl.txt 2>&1",
        check=False,
    )
    said = {each["id"]: each for each in json.loads(machine.shell("cat /root/testssl.json"))}
    assert said["overall_grade"]["finding"] == "A+", machine.shell("tail -n 60 /root/testssl.txt")
    worse = [each for each in said.values() if each["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")]
    assert [each for each in worse if each["id"] not in THE_TEST_AUTHORITY_S] == []


def test_lynis_gives_eighty_points(machine):
    machine.shell("apt-get -qq install --no-install-recommends lynis >/dev/null 2>&1")
    skipped = "\\n".join(f"skip-test={name}" for name in A_CONTAINERS)
    machine.shell(f"printf '{skipped}\\n' > /etc/lynis/custom.prf")
    machine.shell(
        "lynis audit system --quick --no-colors --report-file /root/lynis.dat >/root/lynis.txt 2>&1", check=False
    )
    assert int(machine.shell("sed -n 's/^hardening_index=//p' /root/lynis.dat")) >= 80
    suggested = set(machine.shell("sed -n 's/^suggestion\\[\\]=\\([^|]*\\)|.*/\\1/p' /root/lynis.dat").split())
    table = (PROJECT / "docs/security.md").read_text().partition("What lynis suggests")[2].partition("\n## ")[0]
    explained = {name for row in re.findall(r"^\| ([A-Z0-9, -]+) \|", table, re.M) for name in row.split(", ")}
    assert suggested - explained == set()
