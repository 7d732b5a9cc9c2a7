"""Open many connections at once to one port: how many are let in, and does the first one still answer?"""

from __future__ import annotations

import json
import socket
import sys
import time

ATTEMPTS = 120
SECONDS = 3


def main(address: str, port: int) -> None:
    """Print the number of connections that were accepted within a few seconds, and whether the oldest is alive."""
    first = socket.create_connection((address, port), timeout=SECONDS)
    greeting = first.recv(256)
    pending = []
    for _ in range(ATTEMPTS):
        attempt = socket.socket(first.family)
        attempt.setblocking(False)
        attempt.connect_ex((address, port))
        pending.append(attempt)
    time.sleep(SECONDS)
    connected = 1
    for attempt in pending:
        try:
            attempt.getpeername()
            connected += 1
        except OSError:
            attempt.close()
    # sshd answers a client that says who it is with its list of algorithms.
    first.sendall(b"SSH-2.0-flood\r\n")
    alive = greeting.startswith(b"SSH-") and len(first.recv(64)) > 0
    print(json.dumps({"connected": connected, "alive": alive}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
