"""Fixtures of Flask's tutorial: an app with an empty database, its client, its commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from guestbook import create_app
from guestbook.extensions import db
from werkzeug.test import TestResponse

TOKEN = re.compile(r'name="csrf_token" type="hidden" value="([^"]+)"')


@pytest.fixture
def app() -> Iterator[Flask]:
    """An app on a fresh SQLite database in memory."""
    app = create_app({"FLASK_CONFIG": "testing"})
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser of sorts, with cookies."""
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """The flask command."""
    return app.test_cli_runner()


@pytest.fixture
def sign(client: FlaskClient) -> Callable[[str, str], TestResponse]:
    """Fill in and send the form as a browser does: the token of the page comes along."""

    def send(name: str, message: str) -> TestResponse:
        token = TOKEN.search(client.get("/").text)
        assert token, "the form has no CSRF token"
        form = {"csrf_token": token[1], "name": name, "message": message}
        return client.post("/", data=form)

    return send
