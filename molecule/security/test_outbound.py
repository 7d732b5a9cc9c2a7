"""The app connects to what its inventory allows, and to nothing else; who is not the app is not bound."""

from __future__ import annotations

import errno

import pytest

TRY = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
except OSError as error:
    print(error.errno)
"""


def attempt(machine, user: str, address: str, port: int) -> int:
    """Return the error that a connection of a user ends with; nothing listens there."""
    machine.shell(f"cat > /usr/local/share/try.py <<'END'\n{TRY}\nEND")
    return int(machine.shell(f"runuser -u {user} -- python3 /usr/local/share/try.py {address} {port}"))


@pytest.fixture(scope="module")
def neighbour(machine) -> str:
    """The control node, as the machine sees it: it refuses connections at once."""
    return machine.address.rpartition(".")[0] + ".1"


@pytest.mark.parametrize("port", [53, 443, 5432])
def test_resolver_https_and_database_are_allowed(machine, neighbour, port):
    assert attempt(machine, "guestbook", neighbour, port) == errno.ECONNREFUSED


@pytest.mark.parametrize("port", [25, 80, 6379, 4444])
def test_anything_else_is_refused_at_once(machine, neighbour, port):
    assert attempt(machine, "guestbook", neighbour, port) == errno.EHOSTUNREACH


def test_the_machine_itself_is_allowed_and_other_users_are_not_bound(machine, neighbour):
    assert attempt(machine, "guestbook", "127.0.0.1", 4444) == errno.ECONNREFUSED
    assert attempt(machine, "nobody", neighbour, 4444) == errno.ECONNREFUSED
