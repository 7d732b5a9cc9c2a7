"""Which sockets of the machine listen, and which process and unit holds each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}


class Listener(NamedTuple):
    """A socket that waits for somebody."""

    protocol: str  # tcp or udp
    address: IPv4Address | IPv6Address
    port: int
    inode: str


class Holder(NamedTuple):
    """The process behind a socket."""

    name: str  # as ps calls it; kernel where there is no process
    unit: str  # of systemd; empty where it has none

    def __str__(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit and self.unit != self.name else self.name


KERNEL = Holder("the kernel", "")


def address_of(text: str) -> IPv4Address | IPv6Address:
    """The address that /proc/net prints in hexadecimal, in the machine's own order of bytes within each 32 bits."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    return ip_address(b"".join(words))


def parse(protocol: str, text: str) -> list[Listener]:
    """The listening sockets of one file of /proc/net, such as tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENS[protocol]:
            address, _, port = fields[1].partition(":")
            found.append(Listener(protocol[:3], address_of(address), int(port, 16), fields[9]))
    return found


def listeners() -> list[Listener]:
    """All listening sockets of the machine."""
    found = []
    for protocol in _LISTENS:
        try:
            found += parse(protocol, (PROC / "net" / protocol).read_text())
        except OSError:  # a kernel without IPv6
            continue
    return found


def unit_of(cgroups: str) -> str:
    """The unit in what /proc/PID/cgroup says; empty where there is none."""
    for line in cgroups.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers in ("", "name=systemd"):
            units = [name for name in path.split("/") if name.endswith((".service", ".scope"))]
            if units:
                return units[-1]
    return ""


def holders(inodes: Iterable[str]) -> dict[str, Holder]:
    """The process that holds each of the sockets; those of the kernel are left out."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, Holder] = {}
    if not wanted:
        return found
    # systemd, the first one, holds what it will hand over: the process that got it says more.
    for process in sorted(filter(str.isdigit, os.listdir(PROC)), key=lambda number: number == "1"):
        if len(found) == len(wanted):
            break
        try:
            links = {os.readlink(descriptor) for descriptor in (PROC / process / "fd").iterdir()} & wanted.keys()
            if links:
                name, cgroups = (PROC / process / "comm").read_text(), (PROC / process / "cgroup").read_text()
                holder = Holder(name.strip(), unit_of(cgroups))
                found = {wanted[link]: holder for link in links} | found
        except OSError:  # ended meanwhile
            continue
    return found


def holders_of(ports: Iterable[int], listening: Iterable[Listener]) -> dict[int, list[Holder]]:
    """Who holds each of the machine's TCP ports, where anybody does."""
    wanted = set(ports)
    sockets = [socket for socket in listening if socket.protocol == "tcp" and socket.port in wanted]
    known = holders(socket.inode for socket in sockets)
    found: dict[int, set[Holder]] = {}
    for socket in sockets:
        found.setdefault(socket.port, set()).add(known.get(socket.inode, KERNEL))
    return {port: sorted(those) for port, those in found.items()}


def ephemeral_ports() -> range:
    """The ports that the kernel gives to clients."""
    try:
        first, last = map(int, re.findall(r"\d+", (PROC / "sys/net/ipv4/ip_local_port_range").read_text()))
    except (OSError, ValueError):
        first, last = 32768, 60999
    return range(first, last + 1)
