"""gunicorn as a release starts it: whose settings win, and that no early answer gets lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from ansible.module_utils.slipway_release import start_gunicorn

OURS = "--timeout 30 --graceful-timeout 30 --worker-tmp-dir /dev/shm --forwarded-allow-ips * --backlog 64"


@pytest.fixture
def gunicorn(tree):
    """Starts gunicorn for an app with some files, as the unit does; returns the process."""
    path = tree({"app.py": "def app(environ, start):\n    start('413 Too Large', [])\n    return [b'no']\n"})

    def start(*words, files=None, pass_fds=(), **environment):
        tree(files or {})
        ours = {"PORT": "8000", "WEB_CONCURRENCY": "2", "GUNICORN_CMD_ARGS": OURS, "SLIPWAY_GUNICORN_DEFAULTS": OURS}
        return subprocess.Popen(
            [sys.executable, start_gunicorn.__file__, *words],
            cwd=path,
            env={"PATH": os.environ["PATH"], **ours, **environment},
            pass_fds=pass_fds,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def shown(gunicorn):
    """Returns what gunicorn would run with."""

    def show(*words, **more):
        ours, its = os.pipe()
        process = gunicorn(*words, pass_fds=[its], SLIPWAY_SHOW=str(its), **more)
        os.close(its)
        _nothing, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        with os.fdopen(ours) as said:
            return json.load(said)

    return show


@pytest.mark.parametrize(
    ("words", "more", "expected"),
    [
        ([], {}, {"timeout": 30, "workers": 2, "preload_app": False}),
        ([], {"WEB_CONCURRENCY": "5"}, {"workers": 5}),
        ([], {"files": {"gunicorn.conf.py": "timeout = 90\nworkers = 3\ngraceful_timeout = 60\n"}},
         {"timeout": 90, "workers": 3, "graceful_timeout": 60}),
        (["--timeout", "77"], {"files": {"gunicorn.conf.py": "timeout = 90\n"}}, {"timeout": 77}),
        ([], {"GUNICORN_CMD_ARGS": "--timeout 55", "files": {"gunicorn.conf.py": "timeout = 90\nthreads = 4\n"}},
         {"timeout": 55, "threads": 4}),
        ([], {"GUNICORN_CMD_ARGS": "--threads 2"}, {"timeout": 30, "threads": 2}),
        (["--preload"], {}, {"preload_app": True}),
        ([], {"files": {"gunicorn.conf.py": "preload_app = True\n"}}, {"preload_app": True}),
    ],
)  # fmt: skip
def test_the_apps_own_settings_win_in_gunicorns_order(shown, words, more, expected):
    found = shown("app:app", *words, **more)
    assert {name: found[name] for name in expected} == expected
    assert found["warnings"] == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("daemon = True", "daemon"),
        ("reuse_port = True", "reuse_port"),
        ("pidfile = '/run/gunicorn.pid'", "pidfile"),
        ("user = 'nobody'", "user"),
        ("group = 'nogroup'", "group"),
        ("certfile = 'cert.pem'", "certfile"),
        ("forwarded_allow_ips = '127.0.0.1'", "forwarded_allow_ips"),
        ("worker_tmp_dir = '/tmp'", "worker_tmp_dir"),
        ("bind = ['0.0.0.0:8000', '127.0.0.1:9000']", "bind"),
        ("bind = 'unix:/tmp/app.sock'", "bind"),
    ],
)
def test_what_is_not_the_apps_to_say_is_named(shown, line, named):
    (warning,) = shown("app:app", files={"gunicorn.conf.py": f"{line}\n"})["warnings"]
    assert f"gunicorn's {named} = " in warning and "is not obeyed" in warning


def test_a_line_made_for_heroku_is_obeyed_without_a_word(shown):
    assert shown("app:app", "--bind", "0.0.0.0:8000", "--log-file", "-", "--workers", "4")["warnings"] == []


@pytest.mark.parametrize("kind", ["sync", "gthread"])
@pytest.mark.parametrize("header", ["", "X-Control: a\x0bb\r\n"])
def test_an_early_answer_reaches_who_goes_on_writing(gunicorn, tmp_path, kind, header):
    """nginx writes the body of a request to its end before it reads: a write that breaks is a 502."""
    process = gunicorn("app:app", "--bind", f"unix:{tmp_path}/web.sock", "--worker-class", kind, "--workers", "1")
    try:
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                deadline = time.monotonic() + 30
                while client.connect_ex(f"{tmp_path}/web.sock") and time.monotonic() < deadline:
                    time.sleep(0.1)
                body = b"m" * 1_500_000
                client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode())
                client.sendall(body)
                assert client.recv(12) == (b"HTTP/1.1 400" if header else b"HTTP/1.1 413")
    finally:
        process.terminate()
        process.communicate(timeout=60)
