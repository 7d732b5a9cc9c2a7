"""What a deployment asks before it trusts the app."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from guestbook import create_app


def orphan() -> FlaskClient:
    """Return a client of an app whose database does not answer: nothing listens on port 1."""
    uri = "postgresql://nobody:hunter2@127.0.0.1:1/none"
    settings = {"FLASK_CONFIG": "testing", "SQLALCHEMY_DATABASE_URI": uri}
    # As in production, an exception becomes a page instead of reaching the caller.
    return create_app({**settings, "PROPAGATE_EXCEPTIONS": False}).test_client()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_healthy_app_says_ok(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_a_process_without_database_is_alive() -> None:
    assert orphan().get("/healthz").status_code == 200


def test_a_process_without_database_is_not_ready_and_tells_the_reason_to_the_log_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = orphan().get("/readyz")
    assert (answer.status_code, answer.text) == (503, "database not reachable\n")
    log = capsys.readouterr().out
    assert "connection refused" in log.lower()
    assert "hunter2" not in log


def test_without_database_the_page_is_an_error_page() -> None:
    answer = orphan().get("/")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "127.0.0.1" not in answer.text
