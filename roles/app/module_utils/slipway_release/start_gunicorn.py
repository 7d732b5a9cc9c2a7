"""gunicorn as systemd starts it: it takes the socket over, says who it is, and lets no early answer get lost.

A copy of this file is in each release and runs with the release's Python, as the app's user, behind whatever shell.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
import weakref

# How long, in seconds, a client that has its answer may take to notice, or to send what nobody will read.
LINGER_SECONDS = 3.0

# What a connection's client has still to send of a request's body, as far as the app has not read it.
_bodies: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def take_over() -> None:
    """Take systemd's socket and its number of workers over, whatever the Procfile's line says."""
    if os.environ.get("LISTEN_FDS"):
        # The Procfile may name a port; the socket that systemd holds goes before it.
        os.environ["LISTEN_PID"] = str(os.getpid())
    from gunicorn import version_info

    if version_info >= (25,):
        os.environ["GUNICORN_CMD_ARGS"] = "--no-control-socket " + os.environ.get("GUNICORN_CMD_ARGS", "")
    if os.environ.get("SLIPWAY_WORKERS"):
        sys.argv += ["--workers", os.environ["SLIPWAY_WORKERS"]]
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(b"MAINPID=%d" % os.getpid())


def lingering(connection: socket.socket, *_limits: object) -> None:
    """Close a connection once its client has the answer: what it still sends is read, and dropped.

    A socket that is closed while its client writes breaks the client's write, and nginx then answers 502 although the
    app's answer (400, 401, 413, ...) is there to be read. Cf. RFC 9112, section 9.6.
    """
    try:
        connection.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + LINGER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(65536):
                break
    except (OSError, ValueError):
        pass  # it is gone already
    finally:
        _close(connection)


def close(connection: socket.socket) -> None:
    """Close a connection: at once where the client has sent all, and lingering where something is still to come."""
    body = _bodies.pop(connection, None)
    if (body is not None and getattr(body, "length", 0) > 0) or _has_unread(connection):
        lingering(connection)
    else:
        _close(connection)


def _has_unread(connection: socket.socket) -> bool:
    """Say whether a client has sent something that was not read."""
    try:
        return bool(select.select([connection], [], [], 0)[0] and connection.recv(1, socket.MSG_PEEK))
    except (OSError, ValueError):
        return False


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.close()


def patch() -> None:
    """Have gunicorn close its connections like this. Its own lingering close, where it has one, ends after 64 KiB."""
    from gunicorn import util
    from gunicorn.http.body import LengthReader

    begin = LengthReader.__init__

    def begun(self: LengthReader, unreader: object, length: int) -> None:
        begin(self, unreader, length)
        connection = getattr(unreader, "sock", None)
        if connection is not None:
            _bodies[connection] = self

    LengthReader.__init__ = begun
    util.close = close
    if hasattr(util, "close_graceful"):
        util.close_graceful = lingering


def main() -> int:
    """Run gunicorn with the arguments that the web line gives it."""
    take_over()
    patch()
    from gunicorn.app.wsgiapp import run

    sys.argv[0] = "gunicorn"
    return run()


if __name__ == "__main__":
    sys.exit(main())
