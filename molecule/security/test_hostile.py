"""Hostile requests: no error of the server's own making, no worker lost, no memory kept."""

from __future__ import annotations

import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from hostile import requests

STATUS = re.compile(rb"(?:^|\r\n\r\n|\n)HTTP/1\.[01] (\d{3})")


def workers(machine) -> set[str]:
    """Return the processes of the web server and of the app."""
    return set(machine.shell("pgrep -x 'gunicorn|nginx'").split())


def memory(machine) -> int:
    """Return what they use together, in KiB; pages that they share count once."""
    return int(
        machine.shell(
            "for process in $(pgrep -x 'gunicorn|nginx');"
            " do sed -n 's/^Pss: *//p' /proc/$process/smaps_rollup; done | awk '{sum += $1} END {print sum}'"
        )
    )


def answers(machine, request: bytes, wait: float = 0.7) -> list[int]:
    """Return the status of each answer to a request; none where the connection is closed or nothing comes."""
    said = b""
    try:
        with machine.connect() as connection:
            connection.settimeout(wait)
            connection.sendall(request)
            while piece := connection.recv(65536):
                said += piece
    except (OSError, ssl.SSLError):
        pass
    return [int(status) for status in STATUS.findall(said)]


def test_no_request_breaks_the_server(machine):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: answers(machine, b"GET / HTTP/1.0\r\nHost: guestbook.example\r\n\r\n"), range(300)))
        processes, used = workers(machine), memory(machine)
        sent = list(requests(1500))
        got = list(pool.map(lambda request: answers(machine, request), sent))
    errors = [(request[:200], each) for request, each in zip(sent, got, strict=True) if any(one >= 500 for one in each)]
    assert errors == []
    assert sum(1 for each in got if each) > 300, "hardly a request was answered at all"
    assert machine.get("/readyz").status == 200
    assert workers(machine) == processes and len(processes) > 4
    assert memory(machine) < used * 1.3 + 20_000


# What the app answers before it has read the body, or without ever reading it: a header that gunicorn refuses, a body
# that is larger than the app takes, a page that is not there, a form without its token.
EARLY = {
    400: b"POST / HTTP/1.1\r\nHost: guestbook.example\r\nX-Control: a\x0bb\r\n",
    413: b"POST / HTTP/1.1\r\nHost: guestbook.example\r\nX-Size: large\r\n",
    404: b"POST /nowhere HTTP/1.1\r\nHost: guestbook.example\r\n",
    405: b"POST /readyz HTTP/1.1\r\nHost: guestbook.example\r\n",
}


def test_an_answer_that_comes_before_the_body_was_read_is_never_lost(machine):
    def one(status: int) -> tuple[int, list[int]]:
        body = b"m" * (900_000 if status == 413 else 70_000)
        head = b"Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
        return status, answers(machine, EARLY[status] + head % len(body) + body, wait=20)

    with ThreadPoolExecutor(24) as pool:
        got = list(pool.map(one, list(EARLY) * 250))
    assert [each for each in got if each[1] != [each[0]]] == []


def test_slow_clients_do_not_keep_others_out(machine):
    with ExitStack() as stack:
        slow = [stack.enter_context(machine.connect()) for _ in range(200)]
        for number, connection in enumerate(slow):
            # Every second one has sent its headers, and is slow with its body.
            end = b"Content-Length: 1000\r\n\r\n" if number % 2 else b""
            connection.sendall(b"POST / HTTP/1.1\r\nHost: guestbook.example\r\n" + end)
        for _ in range(5):
            for number, connection in enumerate(slow):
                connection.sendall(b"a" if number % 2 else b"X-Slow: 1\r\n")
            assert machine.get("/").status == 200
    assert machine.get("/readyz").status == 200


def test_what_a_client_puts_into_a_url_makes_no_header(machine):
    answer = machine.get("/page/2%0d%0aX-Evil:%201?next=%0d%0aX-Evil:%201")
    assert answer.headers["X-Evil"] is None
