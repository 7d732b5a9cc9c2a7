"""What must be right on a machine before a release is laid out there: disk, memory, clock, database."""

from __future__ import annotations

import datetime
import os
import socket
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from . import host
from .host import Failure

PORTS = {"postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}
CLOCK_SECONDS = 120


def disk(root: Path, needed: int) -> None:
    """Refuse where ``needed`` bytes are not free, or no files can be made."""
    status = os.statvfs(root)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        reason = f"{root} has {free // 1048576} MiB free, and this release may need {-(-needed // 1048576)} MiB"
        raise Failure("preflight: disk", reason)
    if status.f_files and status.f_favail < 5000:
        raise Failure("preflight: disk", f"{root} has room for {status.f_favail} more files (inodes) only")


def memory(service: str) -> None:
    """Refuse where a second generation as large as the one that serves would not fit."""
    said = host.systemctl("show", "--property=MemoryCurrent", "--value", service, check=False).stdout.strip()
    used = int(said) if said.isdigit() else 0
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = sum(int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
    if used < 1 << 60 and used > free:
        reason = (
            f"the live release uses {used // 1048576} MiB, and only {free // 1048576} MiB are left for a second one"
        )
        raise Failure("preflight: memory", reason)


def clock(expected: float) -> None:
    """Refuse where the machine's clock is far from the control node's (both in seconds since 1970)."""
    off = datetime.datetime.now(datetime.UTC).timestamp() - expected
    if abs(off) > CLOCK_SECONDS:
        reason = (
            f"the machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this computer's, so that"
            " certificates, sessions and the history would be wrong; see timedatectl on both"
        )
        raise Failure("preflight: clock", reason)


def database(url: str) -> None:
    """Refuse where nobody listens at the database's address; the URL's password is never said."""
    address = listens_at(url)
    if address is None:
        return
    try:
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
                made.settimeout(5)
                made.connect(address)
        else:
            socket.create_connection(address, timeout=5).close()
    except OSError as error:
        where = address if isinstance(address, str) else f"{address[0]}, port {address[1]}"
        raise Failure("preflight: database", f"nobody answers at {where}: {error.strerror or error}") from error


def listens_at(url: str) -> str | tuple[str, int] | None:
    """Return the socket or the host and port of a database URL; None where it is a file, or cannot be told."""
    try:
        parts = urlsplit(url)
        kind = parts.scheme.partition("+")[0]
        if kind not in PORTS:
            return None
        asked = parse_qs(parts.query)
        name = asked.get("host", [parts.hostname or ""])[0]
        port = int(asked.get("port", [parts.port or PORTS[kind]])[0])
    except ValueError:
        return None
    if "," in name:
        return None
    if name.startswith("/") or (not name and kind.startswith("postgres")):
        return f"{name or '/run/postgresql'}/.s.PGSQL.{port}"
    return (name or "localhost", port)
