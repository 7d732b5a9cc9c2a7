"""Steady load on a site: reads, writes and slow requests at a fixed rate, each over a new TLS connection."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import uuid
from dataclasses import dataclass, field

# Of a hundred requests: 60 reads, 32 writes, 8 that take a second.
_READS, _WRITES = 60, 92
SLOW_SECONDS = 1.0
TIMEOUT_SECONDS = 60
# Made once: the certificate is self-signed, and reading all authorities takes longer than a request.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


@dataclass
class Load:
    """Requests at a rate (per second), from a thread each, until stop(); what was answered otherwise is a failure."""

    address: str
    rate: float = 40.0
    failures: list[str] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    answered: int = 0
    releases: set[str] = field(default_factory=set)

    def __enter__(self) -> Load:
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._main = threading.Thread(target=self._run)
        self._main.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin no more requests, and wait for the answers of those begun."""
        self._ended.set()
        self._main.join()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        begun, number = time.monotonic(), 0
        while not self._ended.is_set():
            thread = threading.Thread(target=self._ask, args=(number * 37 % 100,))
            thread.start()
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
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
            status, body = ask(self.address, method, path)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f"{at} {method} {path}: {type(error).__name__}: {error}")
            return
        if status != expected:
            self.failures.append(f"{at} {method} {path}: {status} {body[:80]!r}")
            return
        self.answered += 1
        if method == "POST":
            self.stored.add(order)


def ask(address: str, method: str, path: str, timeout: float = TIMEOUT_SECONDS) -> tuple[int, bytes]:
    """Ask a site once over a new connection, whatever its certificate; return the status and the answer."""
    connection = http.client.HTTPSConnection(address, timeout=timeout, context=CONTEXT)
    try:
        connection.request(method, path, headers={"Host": "shop.example"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
