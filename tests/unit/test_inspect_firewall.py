"""Whose rules decide on what comes in, and which sockets wait for somebody."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from ansible.module_utils.slipway_inspect import firewall, sockets

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0000 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0000 100 0 0 10 0
   2: 0200A8C0:0016 0100A8C0:D431 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0000 100 0 0 10 0
"""


def chain(table: str, name: str, hook: str = "", policy: str = "accept", family: str = "inet") -> dict:
    base = {"hook": hook, "type": "filter", "policy": policy} if hook else {}
    return {"chain": {"family": family, "table": table, "name": name} | base}


def rule(table: str, name: str, *expr: dict, family: str = "inet") -> dict:
    return {"rule": {"family": family, "table": table, "chain": name, "expr": list(expr)}}


def port(right: object) -> dict:
    return {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": right}}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([chain("filter", "input", "input", "drop")], ["inet filter input"]),
        ([chain("filter", "INPUT", "input", family="ip")], []),  # Docker's
        ([chain("filter", "forward", "forward", "drop")], []),
        ([chain("slipway", "input", "input", "drop")], []),
        # fail2ban refuses those that it has banned.
        ([chain("f2b", "input", "input"), rule("f2b", "input", port(22), {"reject": None})], []),
        ([chain("f2b", "input", "input"), rule("f2b", "input", {"limit": {"rate": 5}}, {"drop": None})], []),
        # firewalld refuses at the end, others in a chain of their own.
        ([chain("firewalld", "i", "input"), rule("firewalld", "i", {"reject": None})], ["inet firewalld i"]),
        (
            [
                chain("f", "input", "input"),
                chain("f", "rest"),
                rule("f", "input", {"counter": {}}, {"jump": {"target": "rest"}}),
                rule("f", "rest", {"log": {}}, {"drop": None}),
            ],
            ["inet f input"],
        ),
    ],
)
def test_a_firewall_is_what_lets_in_only_what_it_names(rules: list[dict], expected: list[str]) -> None:
    assert firewall.refusing_chains(rules) == expected


def test_ports_that_no_rule_names_are_said() -> None:
    rules = [
        rule("f", "i", port({"set": [22, {"range": [79, 81]}]}), {"accept": None}),
        {"set": {"family": "inet", "table": "f", "name": "open", "elem": [8443, {"elem": {"val": 8080}}]}},
        {"rule": {"handle": 443, "table": "f", "expr": [{"accept": None}]}},
    ]
    assert firewall.unnamed(rules, [80, 443, 8443, 8080]) == [443]


def test_ports_that_are_led_elsewhere_are_said_with_the_chain() -> None:
    rules = [
        rule("nat", "DOCKER", port(80), {"dnat": {"addr": "172.17.0.2", "port": 8000}}, family="ip"),
        rule("nat", "PREROUTING", port({"set": [8443]}), {"redirect": {"port": 443}}, family="ip"),
        rule("filter", "input", port(443), {"accept": None}),
    ]
    assert firewall.forwarded(rules) == {80: "ip nat DOCKER", 8443: "ip nat PREROUTING"}


def test_listening_sockets_are_read() -> None:
    found = sockets.parse("tcp", TCP)
    assert found == [
        sockets.Listener("tcp", ip_address("127.0.0.1"), 8080, "11"),
        sockets.Listener("tcp", ip_address("0.0.0.0"), 80, "12"),
    ]


def test_addresses_of_ipv6_are_read() -> None:
    assert sockets.address_of("00000000000000000000000001000000") == ip_address("::1")
    assert sockets.address_of("B80D0120000000000000000001000000") == ip_address("2001:db8::1")


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("5:cpu:/\n1:name=systemd:/docker/abc/system.slice/system-x.slice/x@1.service", "x@1.service"),
        ("0::/system.slice/docker-abc.scope", "docker-abc.scope"),
        ("0::/init.scope", "init.scope"),
        ("0::/", ""),
    ],
)
def test_the_unit_of_a_process(cgroups: str, unit: str) -> None:
    assert sockets.unit_of(cgroups) == unit


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with services of several kinds."""
    everywhere, here = ip_address("0.0.0.0"), ip_address("127.0.0.1")
    listening = [
        ("tcp", everywhere, 22, "1"), ("tcp", everywhere, 80, "2"), ("tcp", here, 6379, "3"),
        ("tcp", everywhere, 8025, "4"),
        ("udp", everywhere, 5355, "5"), ("udp", everywhere, 51820, "0"), ("udp", everywhere, 40000, "6"),
    ]  # fmt: skip
    monkeypatch.setattr(sockets, "listeners", lambda: [sockets.Listener(*each) for each in listening])
    held = {"4": sockets.Holder("python3", "x.service"), "5": sockets.Holder("systemd-resolve", "")}
    held["6"] = sockets.Holder("app", "")
    monkeypatch.setattr(sockets, "holders", lambda inodes: {inode: held[inode] for inode in inodes if inode in held})


def test_what_could_be_reached_is_told_from_what_asks_itself(reached: None) -> None:
    found = firewall.reachable({22, 80, 443})
    assert [(each["protocol"], each["port"], each["holder"]) for each in found] == [
        ("tcp", 8025, "python3 (x.service)"),
        ("udp", 51820, "the kernel"),
    ]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The firewall's files below a directory of the test's own."""
    for name in ("RULES", "LOADER", "CONF", "DROP_IN", "ENABLED"):
        monkeypatch.setattr(firewall, name, tmp_path / name)
    return tmp_path


def test_once_our_rules_decide_nobody_elses_are_asked_for(paths: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (paths / "RULES").write_text("type filter hook input priority filter; policy drop;")
    monkeypatch.setattr(firewall, "ruleset", lambda: pytest.fail("it was asked"))
    assert firewall.facts([22], take_over=False)["foreign"] == []


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({}, False),
        ({"CONF": "rules"}, False),  # there, and loaded by nobody
        ({"CONF": "rules", "ENABLED": ""}, True),
        ({"CONF": "rules", "ENABLED": "", "LOADER": "nothing of it"}, False),
        ({"CONF": "rules", "LOADER": "nft -f {CONF}"}, True),
        ({"CONF": "rules", "DROP_IN": "of an earlier version"}, True),
    ],
)
def test_somebodys_own_rules_are_loaded_as_before(paths: Path, files: dict[str, str], kept: bool) -> None:
    for name, text in files.items():
        (paths / name).write_text(text.replace("{CONF}", str(paths / "CONF")))
    assert firewall.keeps_conf() is kept
