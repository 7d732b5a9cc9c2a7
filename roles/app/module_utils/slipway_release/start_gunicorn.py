"""gunicorn as systemd starts it: it takes the socket over, obeys the app, and lets no early answer get lost.

A copy of this file is in each release and runs with the release's Python, as the app's user, behind whatever shell. The
app's own settings win, in gunicorn's order: command line, GUNICORN_CMD_ARGS, gunicorn.conf.py, and then the machine's.
What systemd, nginx and the sandbox have to own is the machine's alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import socket
import sys
import time
import weakref

# How long, in seconds, a client that has its answer may take to notice, or to send what nobody will read.
LINGER_SECONDS = 3.0
# What is not for the app to say, and whose it is.
OWNED = {
    "daemon": "systemd runs it",
    "reuse_port": "systemd holds the socket",
    "pidfile": "systemd knows the process",
    "user": "systemd sets the user",
    "group": "systemd sets the group",
    "certfile": "nginx ends TLS",
    "keyfile": "nginx ends TLS",
    "forwarded_allow_ips": "nginx alone reaches the socket",
    "worker_tmp_dir": "the sandbox has it in memory",
}
# What is told of a configuration where somebody asks: see show().
SHOWN = ("timeout", "graceful_timeout", "preload_app", "workers", "threads", "worker_class_str")

# What a connection's client has still to send of a request's body, as far as the app has not read it.
_bodies: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
# What of the app's settings is not obeyed, and why.
_warnings: list[str] = []


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


def take_defaults() -> None:
    """Make what the unit says gunicorn's defaults, behind all that the app says itself.

    Releases of earlier versions take it from GUNICORN_CMD_ARGS, which would go before gunicorn.conf.py. An app's own
    GUNICORN_CMD_ARGS, among its settings, has taken that place.
    """
    said = os.environ.pop("SLIPWAY_GUNICORN_DEFAULTS", "")
    if os.environ.get("GUNICORN_CMD_ARGS") == said:
        del os.environ["GUNICORN_CMD_ARGS"]
    from gunicorn import config

    settings = {setting.name: setting for setting in config.KNOWN_SETTINGS}
    for name, value in vars(config.Config().parser().parse_args(shlex.split(said))).items():
        if value is not None and name in settings:
            settings[name].default = value


def own(cfg: object) -> None:
    """Put what is not the app's to say back to what it is without the app, and note what it has said."""
    usual = type(cfg)().settings
    for address in cfg.settings["bind"].get():
        # A line made for Heroku names the port: nobody loses anything by that.
        if address not in usual["bind"].get() and not address.endswith(f":{os.environ.get('PORT')}"):
            _warn("bind", address, "nginx reaches the app by the socket that systemd holds")
    for name in OWNED.keys() & usual.keys():
        if cfg.settings[name].get() != usual[name].get():
            _warn(name, cfg.settings[name].get(), OWNED[name])
            cfg.settings[name].value = usual[name].value


def _warn(name: str, value: object, why: str) -> None:
    _warnings.append(f"gunicorn's {name} = {value!r} is not obeyed: {why}")


def show(app: object, descriptor: int) -> None:
    """Write the configuration that came of it all to a file descriptor, as JSON, instead of serving."""
    found = {name: getattr(app.cfg, name, None) for name in SHOWN}
    with os.fdopen(descriptor, "w") as file:
        json.dump(found | {"warnings": _warnings}, file, default=str)


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


def application() -> object:
    """Return gunicorn's application, configured."""
    from gunicorn.app.wsgiapp import WSGIApplication

    configure = WSGIApplication.load_config

    def configured(self: WSGIApplication) -> None:
        _warnings.clear()
        configure(self)
        own(self.cfg)

    WSGIApplication.load_config = configured
    return WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn")


def main() -> int:
    """Run gunicorn with the arguments that the web line gives it, or tell what it would run with."""
    sys.argv[0] = "gunicorn"
    take_defaults()
    asked = os.environ.pop("SLIPWAY_SHOW", "")
    if not asked:
        take_over()
        patch()
    made = application()
    if asked:
        show(made, int(asked))
        return 0
    for warning in _warnings:
        print(f"slipway: {warning}", file=sys.stderr, flush=True)
    return made.run()


if __name__ == "__main__":
    sys.exit(main())
