"""Steady load on a site: reads, writes and slow requests at a fixed rate.

Reads come over TLS connections that stay open, as browsers' do; each other request over a new one.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

# Of a hundred requests: 60 reads, 32 writes, 8 that take a second.
_READS, _WRITES = 60, 92
SLOW_SECONDS = 1.0
TIMEOUT_SECONDS = 60
DOMAIN = "shop.example"
# What comes of a connection that the server has closed since it was last used.
CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
# As many as may be under way: what waits for one of these would be asked later than it should.
THREADS = 400
# Made once: the certificate is self-signed, and reading all authorities takes longer than a request.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


@dataclass
class Load:
    """Requests at a rate (per second) until stop(), whatever others take; what is answered otherwise is a failure."""

    address: str
    rate: float = 40.0
    failures: list[str] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    answered: int = 0
    releases: set[str] = field(default_factory=set)

    def __enter__(self) -> Load:
        self._ended = threading.Event()
        self._open: list[http.client.HTTPSConnection] = []
        self._main = threading.Thread(target=self._run)
        self._main.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin no more requests, and wait for the answers of those begun."""
        self._ended.set()
        self._main.join()
        while self._open:
            self._open.pop().close()

    def _run(self) -> None:
        begun, number = time.monotonic(), 0
        with ThreadPoolExecutor(THREADS) as threads:
            while not self._ended.is_set():
                threads.submit(self._ask, number * 37 % 100)
                number += 1
                self._ended.wait(max(0.0, begun + number / self.rate - time.monotonic()))

    def _ask(self, kind: int) -> None:
        order = str(uuid.uuid4())
        if kind < _READS:
            method, path, expected = "GET", "/", 200
        elif kind < _WRITES:
            method, path, expected = "POST", f"/orders/{order}", 201
        else:
            method, path, expected = "GET", f"/slow?seconds={SLOW_SECONDS}", 200
        at = time.strftime("%H:%M:%S")
        try:
            status, body = self._read(path) if path == "/" else ask(self.address, method, path)
        except Exception as error:  # whatever it is, it was no answer
            self.failures.append(f"{at} {method} {path}: {type(error).__name__}: {error}")
            return
        if status != expected:
            self.failures.append(f"{at} {method} {path}: {status} {body[:80]!r}")
            return
        self.answered += 1
        if method == "POST":
            self.stored.add(order)

    def _read(self, path: str) -> tuple[int, bytes]:
        """Ask over a connection that is open already; over a new one where none is, or it was closed meanwhile."""
        try:
            connection = self._open.pop()
        except IndexError:
            connection = connect(self.address)
        else:
            with suppress(*CLOSED):
                return self._answer(connection, path)
            connection = connect(self.address)
        return self._answer(connection, path)

    def _answer(self, connection: http.client.HTTPSConnection, path: str) -> tuple[int, bytes]:
        said = answer(connection, "GET", path)
        self._open.append(connection)
        return said


def connect(address: str, timeout: float = TIMEOUT_SECONDS) -> http.client.HTTPSConnection:
    """Return a connection to a site, whatever its certificate; it is made with the first request."""
    return http.client.HTTPSConnection(address, timeout=timeout, context=CONTEXT)


def answer(connection: http.client.HTTPSConnection, method: str, path: str, domain: str = DOMAIN) -> tuple[int, bytes]:
    """Ask over a connection; return the status and the answer."""
    connection.request(method, path, headers={"Host": domain})
    got = connection.getresponse()
    return got.status, got.read()


def ask(
    address: str, method: str, path: str, timeout: float = TIMEOUT_SECONDS, domain: str = DOMAIN
) -> tuple[int, bytes]:
    """Ask a site once over a new connection; return the status and the answer."""
    connection = connect(address, timeout)
    try:
        return answer(connection, method, path, domain)
    finally:
        connection.close()
