"""Which packets the machine takes: by this toolkit's own rules, and by those of somebody else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.slipway_inspect import sockets
from ansible.module_utils.slipway_light import dpkg

RULES = Path("/etc/nftables.d/slipway.nft")
LOADER = Path("/usr/local/lib/slipway/firewall")
CONF = Path("/etc/nftables.conf")
DROP_IN = Path("/etc/systemd/system/nftables.service.d/10-slipway.conf")
ENABLED = Path("/etc/systemd/system/sysinit.target.wants/nftables.service")
INTERFACES = Path("/sys/class/net")
# Bridges that containers and virtual machines are behind; what they ask of their host comes in by them.
_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}|(?:virbr|lxcbr|lxdbr|incusbr|podman|cni-?podman|cni)[0-9]+")
# They open sockets for what they ask themselves, or speak to the own network only.
_CLIENTS = re.compile(r"systemd(-.*)?|dhclient|dhcpcd|udhcpc|NetworkManager|connmand|chronyd|ntpd|sshd|nginx")


def policy() -> str:
    """What this toolkit's own rules on disk do with what nothing opens: drop, accept, or nothing without rules."""
    try:
        found = re.search(r"hook input .*policy (drop|accept);", RULES.read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def ruleset() -> list[dict]:
    """All that nftables has in the kernel; nothing where it is not installed."""
    try:
        done = subprocess.run(["nft", "-j", "list", "ruleset"], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return []
    try:
        return json.loads(done.stdout)["nftables"] if done.returncode == 0 else []
    except (ValueError, KeyError):
        return []


def refusing_chains(rules: list[dict]) -> list[str]:
    """The input chains of somebody else that let in only what they name: "inet filter input".

    A chain that drops some packets alone, as fail2ban's, is none.
    """
    bases, ends, jumps = [], set(), {}
    for entry in rules:
        chain, rule = entry.get("chain"), entry.get("rule")
        if chain and not chain["table"].startswith("slipway"):
            if chain.get("hook") == "input" and chain.get("type") == "filter":
                bases.append((chain["family"], chain["table"], chain["name"], chain.get("policy")))
        elif rule and not rule["table"].startswith("slipway"):
            place = (rule["family"], rule["table"], rule["chain"])
            said = [statement for statement in rule.get("expr", []) if not {"counter", "log"} & set(statement)]
            if said and {"drop", "reject"} & set(said[0]):
                ends.add(place)
            for statement in said[:1]:
                for verb in ("jump", "goto"):
                    if verb in statement:
                        jumps.setdefault(place, set()).add((*place[:2], statement[verb]["target"]))

    def refuses(place: tuple[str, str, str], seen: frozenset = frozenset()) -> bool:
        if place in seen:
            return False
        return place in ends or any(refuses(other, seen | {place}) for other in jumps.get(place, ()))

    return [" ".join(base[:3]) for base in bases if base[3] == "drop" or refuses(base[:3])]


def legacy_refuses() -> list[str]:
    """The same of the older iptables, which nftables does not show."""
    if not Path("/proc/net/ip_tables_names").exists() or not shutil.which("iptables-legacy"):
        return []
    done = subprocess.run(["iptables-legacy", "-S", "INPUT"], check=False, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    refused = "-P INPUT DROP" in lines or any(re.fullmatch(r"-A INPUT -j (DROP|REJECT.*)", line) for line in lines)
    return ["iptables-legacy filter INPUT"] if refused else []


def _numbers(value: object) -> set[int]:
    """The ports in what a rule compares with, or in the elements of a set."""
    if isinstance(value, int):
        return {value}
    if isinstance(value, list):
        return set().union(*map(_numbers, value))
    if not isinstance(value, dict):
        return set()
    if "range" in value:
        first, last = value["range"]
        return set(range(first, last + 1)) if isinstance(first, int) and isinstance(last, int) else set()
    return set().union(*(_numbers(value[key]) for key in ("set", "elem", "val", "concat") if key in value))


def _ports_of(rule: dict) -> set[int]:
    """The destination ports that a rule matches by their numbers."""
    found: set[int] = set()
    for statement in rule.get("expr", []):
        match = statement.get("match", {})
        left = match.get("left", {})
        if isinstance(left, dict) and left.get("payload", {}).get("field") == "dport":
            found |= _numbers(match["right"])
    return found


def forwarded(rules: list[dict]) -> dict[int, str]:
    """The ports whose connections are led elsewhere before any process gets them, with the chain that does."""
    found = {}
    for rule in (entry["rule"] for entry in rules if "rule" in entry):
        if any({"dnat", "redirect"} & set(statement) for statement in rule.get("expr", [])):
            found |= dict.fromkeys(_ports_of(rule), f"{rule['family']} {rule['table']} {rule['chain']}")
    return found


def unnamed(rules: list[dict], ports: list[int]) -> list[int]:
    """Those of the TCP ports that no rule and no set of somebody else names."""
    named: set[int] = set()
    for entry in rules:
        named |= _numbers(entry.get("set", {}).get("elem", [])) | _ports_of(entry.get("rule", {}))
    return [port for port in ports if port not in named]


def reachable(known_ports: set[int]) -> list[dict]:
    """What can be reached from outside before this toolkit's rules are there, beyond the ports that they open."""
    clients = sockets.ephemeral_ports()
    found = {}
    candidates = [
        socket
        for socket in sockets.listeners()
        if not socket.address.is_loopback and not (socket.protocol == "tcp" and socket.port in known_ports)
    ]
    held = sockets.holders(socket.inode for socket in candidates)
    for socket in candidates:
        holder = held.get(socket.inode)
        if holder and _CLIENTS.fullmatch(holder.name):
            continue
        if socket.protocol == "udp" and socket.port in clients and holder:
            continue
        found[(socket.protocol, socket.port)] = str(holder or sockets.KERNEL)
    return [{"protocol": key[0], "port": key[1], "holder": found[key]} for key in sorted(found)]


def bridges() -> list[str]:
    """The machine's bridges to containers and virtual machines, as nftables names them; a star is for later ones."""
    names = sorted(name for name in os.listdir(INTERFACES) if _BRIDGE.fullmatch(name))
    if "docker0" in names:
        names = [name for name in names if not name.startswith("br-")] + ["br-*"]
    return names


def keeps_conf() -> bool:
    """Whether nftables.service has to load /etc/nftables.conf: it has rules of somebody's, and was to load them."""
    if not CONF.exists() or dpkg.is_pristine(str(CONF)):
        return False
    if LOADER.exists():
        return f"nft -f {CONF}" in LOADER.read_text()
    return DROP_IN.exists() or ENABLED.exists()


def facts(ssh_ports: list[int], take_over: bool) -> dict:
    """What decides on packets, and what it lets in: see the module's RETURN."""
    found = {"policy": policy(), "keeps_conf": keeps_conf()} | {
        name: [] for name in ("foreign", "closed", "reachable", "bridges")
    }
    # Once our rules decide they go on to: what is reached then was opened by name.
    if found["policy"] == "drop" or take_over:
        return found
    rules = ruleset()
    found["foreign"] = refusing_chains(rules) + legacy_refuses()
    if found["foreign"]:
        found["closed"] = unnamed(rules, [80, 443])
    else:
        found["reachable"], found["bridges"] = reachable({*ssh_ports, 80, 443}), bridges()
    return found
