"""Reading a Procfile, and the gunicorn call in a command line."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from ansible.module_utils.slipway_app import procfile
from ansible.module_utils.slipway_app.errors import AppError


def test_processes_in_order_without_comments_and_blank_lines():
    text = "# what runs\n\nweb: gunicorn app:app\n  release:flask db upgrade  \nurgent-worker_2: rq worker\n"
    assert list(procfile.parse(text).items()) == [
        ("web", "gunicorn app:app"),
        ("release", "flask db upgrade"),
        ("urgent-worker_2", "rq worker"),
    ]


def test_colons_and_windows_line_ends_in_a_command():
    assert procfile.parse("web: gunicorn a:b --bind :8000\r\n") == {"web": "gunicorn a:b --bind :8000"}


@pytest.mark.parametrize("line", ["gunicorn app", "web gunicorn app:app", ": gunicorn", "web:", "we b: gunicorn"])
def test_line_that_is_no_process_is_refused_with_its_number(line):
    with pytest.raises(AppError, match="line 2.*Expected: name: command"):
        procfile.parse(f"web: gunicorn app:app\n{line}\n")


def test_name_that_appears_twice_is_refused():
    with pytest.raises(AppError, match="line 2: a second process named 'web'"):
        procfile.parse("web: a\nweb: b\n")


def test_open_quote_is_refused_with_the_command():
    with pytest.raises(AppError, match="echo 'a.*is no shell command"):
        procfile.tokens("echo 'a")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("gunicorn app:app", "exec gunicorn app:app"),
        ("flask db upgrade; gunicorn app:app", "flask db upgrade; exec gunicorn app:app"),
        ("flask db upgrade && gunicorn app:app", "flask db upgrade && exec gunicorn app:app"),
        ("a;b&&c d", "a;b&& exec c d"),
        ("A=1 B=x gunicorn app:app", "A=1 B=x exec gunicorn app:app"),
        ("flask init; A=1 gunicorn app:app", "flask init; A=1 exec gunicorn app:app"),
        ("sh -c 'a; b'", "exec sh -c 'a; b'"),
        ('echo "x && y" && gunicorn app:app', 'echo "x && y" && exec gunicorn app:app'),
        ("gunicorn 'hello:create_app(\"a;b\")'", "exec gunicorn 'hello:create_app(\"a;b\")'"),
        ("gunicorn app:app --bind 0.0.0.0:$PORT", "exec gunicorn app:app --bind 0.0.0.0:$PORT"),
        ("celery worker > /tmp/log", "exec celery worker > /tmp/log"),
    ],
)
def test_last_simple_command_replaces_the_shell(command, expected):
    assert procfile.with_exec(command) == expected


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn app:app | tee log",
        "a || b",
        "worker & gunicorn app:app",
        "(cd x; gunicorn app:app)",
        "exec gunicorn app:app",
        "while true; do sleep 1; done",
        "cd src",
        "a; exec b",
        "gunicorn app:app 2>&1 | logger",
    ],
)
def test_anything_more_is_left_alone(command):
    assert procfile.with_exec(command) == command


def test_assignment_with_quotes_keeps_its_meaning():
    """Quotes, substitutions and blanks in assignments are the shell's business, with exec or without."""
    for command in [
        "A='x y' printenv A",
        'A="$HOME/b" printenv A',
        "A=1 B=2 printenv A B",
        "A= printenv A",
        r"A=x\ y printenv A",
    ]:
        assert "exec printenv" in procfile.with_exec(command)
        plain = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
        execed = subprocess.run(["sh", "-c", procfile.with_exec(command)], capture_output=True, text=True)
        assert (execed.stdout, execed.returncode) == (plain.stdout, plain.returncode), command


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn wsgi:app",
        "gunicorn -w 4 wsgi:app",
        "gunicorn -w4 wsgi:app",
        "gunicorn --workers=4 wsgi:app",
        "gunicorn --workers 4 --threads 2 wsgi:app --preload",
        "gunicorn --preload wsgi:app",
        "gunicorn -k gthread --bind 0.0.0.0:$PORT wsgi:app",
        "gunicorn -b :$PORT --access-logfile - wsgi:app",
        "gunicorn wsgi:app --log-file -",
        "gunicorn wsgi:app --log-file=-",
        "A=1 gunicorn wsgi:app",
        "flask db upgrade; gunicorn wsgi:app",
        "flask db upgrade && venv/bin/gunicorn wsgi:app",
        "newrelic-admin run-program gunicorn wsgi:app",
        "gunicorn wsgi:app; echo done",
        "gunicorn -c gunicorn.conf.py wsgi:app",
        "gunicorn --reload --capture-output -R wsgi:app",
        'gunicorn "wsgi:app"',
    ],
)
def test_target_in_many_spellings(command):
    assert procfile.gunicorn_target(procfile.gunicorn_words(command)) == "wsgi:app"


def test_factory_as_target():
    words = procfile.gunicorn_words("gunicorn \"hello:create_app('production')\" -w 2")
    assert procfile.gunicorn_target(words) == "hello:create_app('production')"


def test_target_in_a_package():
    assert procfile.gunicorn_target(procfile.gunicorn_words("gunicorn shop.web:site.app")) == "shop.web:site.app"


def test_no_target_where_a_configuration_file_says_it():
    assert procfile.gunicorn_target(procfile.gunicorn_words("gunicorn -c conf.py")) is None


@pytest.mark.parametrize("command", ["uwsgi --http :80", "waitress-serve app:app", "python gunicorn.py", "flask run"])
def test_no_gunicorn_call(command):
    assert procfile.gunicorn_words(command) is None


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("gunicorn --chdir src a:b", "src"),
        ("gunicorn --chdir=src a:b", "src"),
        ("gunicorn a:b --chdir src", "src"),
        ("gunicorn a:b", None),
        ("gunicorn a:b --chdir", None),
    ],
)
def test_option_in_its_spellings(command, value):
    assert procfile.gunicorn_option(procfile.gunicorn_words(command), "--chdir") == value


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn app:app",
        "flask db upgrade && gunicorn app:app -w 2",
        "A=1 gunicorn app:app",
        "newrelic-admin run-program gunicorn app:app",
        "exec gunicorn app:app",
        "a; exec b",
        "python work.py --concurrency 2",
        "bin/tool --serve",
    ],
)
def test_what_takes_the_shells_place_needs_nobody_to_pass_signals_on(tree, command):
    path = tree({"bin/tool": "#!/usr/bin/env python3\n"})
    assert procfile.launched(command, path) == procfile.with_exec(command)


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn app:app 2>&1",
        "gunicorn app:app | tee log",
        "python work.py --concurrency $(nproc)",
        "gunicorn app:app -w $((2 * 2))",
        "cd src && (gunicorn app:app)",
        "worker & gunicorn app:app",
        "sh -c 'gunicorn app:app'",
        'bash -lc "exec gunicorn app:app"',
        "bash start.sh",
        "./start.sh",
        "bin/start gunicorn app:app",
        "exec ./start.sh",
        "while true; do python work.py; done",
        "if true; then gunicorn app:app; fi",
    ],
)
def test_where_a_shell_stays_signals_are_passed_on(tree, command):
    path = tree({"start.sh": "#!/bin/sh\ngunicorn app:app\n", "bin/start": "#!/usr/bin/env bash\n"})
    line = procfile.launched(command, path)
    assert shlex.split(line) == ["exec", "slipway-supervise", "sh", "-c", command]
