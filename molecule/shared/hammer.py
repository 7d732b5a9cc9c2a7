"""Ask a Unix socket or a URL again and again, each time over a new connection; end with 1 where an answer was no 200.

usage: hammer.py SOCKET|https://HOST/ SECONDS [PATH]
"""

import http.client
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

where, seconds = sys.argv[1], float(sys.argv[2])
path = sys.argv[3] if len(sys.argv) > 3 else "/"
answers: list[str] = []


def connect() -> http.client.HTTPConnection:
    """Return a connection to what is under test."""
    if where.startswith("https://"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(urlsplit(where).netloc, timeout=20, context=context)
    connection = http.client.HTTPConnection("localhost", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(where)
    return connection


def ask() -> None:
    """Ask until the time is over; keep what each answer was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            connection = connect()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            answers.append(str(answer.status))
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            answers.append(f"{type(error).__name__}: {error}")
        time.sleep(0.02)


threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
bad = [answer for answer in answers if answer != "200"]
print(f"{len(answers)} answers, {len(bad)} bad: {sorted(set(bad))}")
sys.exit(1 if bad or not answers else 0)
