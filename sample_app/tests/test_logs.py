"""Logs: one JSON object a line, on standard output."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook import create_app


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the log lines since the last call; every single one has to be JSON."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_request_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    client = create_app({"FLASK_CONFIG": "testing"}).test_client()
    client.get("/nowhere?token=private", environ_base={"REMOTE_ADDR": "203.0.113.7"})

    (line,) = lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "level": "info",
        "logger": "guestbook.logs",
        "message": "request",
        "method": "GET",
        "path": "/nowhere",
        "status": 404,
        "client": "203.0.113.7",
    }


def test_a_refused_form_is_logged_too(capsys: pytest.CaptureFixture[str]) -> None:
    create_app({"FLASK_CONFIG": "testing"}).test_client().post("/")
    assert [line["status"] for line in lines(capsys) if "status" in line] == [400]


def test_a_crash_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app({"FLASK_CONFIG": "testing", "PROPAGATE_EXCEPTIONS": False})
    add_crash(app).get("/crash")

    crash, request = lines(capsys)
    assert (crash["level"], crash["logger"]) == ("error", "guestbook")
    assert crash["exception"].startswith("Traceback")
    assert crash["exception"].endswith("ValueError: two\nlines")
    assert request["status"] == 500


def test_a_line_break_from_outside_does_not_start_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    create_app({"FLASK_CONFIG": "testing"})
    logging.getLogger("elsewhere").warning("from %s", "outside\n{}")
    (line,) = lines(capsys)
    assert (line["level"], line["message"]) == ("warning", "from outside\n{}")


def add_crash(app: Flask) -> FlaskClient:
    """Give the app a page that fails."""

    @app.get("/crash")
    def crash() -> None:
        raise ValueError("two\nlines")

    return app.test_client()
