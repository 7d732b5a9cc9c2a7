"""A machine that is to be judged, and a browser's view of its site."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path

import pytest
from machine import Machine

NAME = "guestbook.example"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which machine it is about, and where its inventory is."""
    parser.addoption("--machine", required=True)
    parser.addoption("--scratch", required=True, type=Path)


class Judged(Machine):
    """A machine with the sample app on it, and a certificate that browsers trust."""

    def connect(self, timeout: float = 10) -> ssl.SSLSocket:
        """Return a connection to the site over TLS, for which its certificate was verified."""
        context = ssl.create_default_context(cafile=str(self.scratch / f"{self.machine}.root.pem"))
        return context.wrap_socket(socket.create_connection((self.address, 443), timeout=timeout), server_hostname=NAME)

    def get(self, path: str, host: str = NAME, **headers: str) -> http.client.HTTPResponse:
        """Return the answer to a request, its body already read into ``text``."""
        connection = http.client.HTTPSConnection(host, timeout=10)
        connection.sock = self.connect()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode(errors="replace")
        connection.close()
        return answer


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest) -> Judged:
    """The machine under test."""
    return Judged.of(request.config.getoption("--machine"), request.config.getoption("--scratch"))
