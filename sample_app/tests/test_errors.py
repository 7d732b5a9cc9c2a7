"""Error pages look like the app and say what to do next."""

from __future__ import annotations

from flask.testing import FlaskClient
from guestbook import create_app


def test_an_unknown_address_is_a_page_of_ours(client: FlaskClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.text
    assert "Back to the guestbook" in answer.text
    assert "/static/style." in answer.text


def test_a_wrong_method_keeps_the_header_that_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.delete("/healthz", headers={"X-CSRFToken": "none"})
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_too_much_text_is_refused_before_it_is_read(client: FlaskClient) -> None:
    answer = client.post("/", data={"message": "x" * 70_000})
    assert answer.status_code == 413
    assert "more text than this book can take" in answer.text


def test_a_crash_is_a_page_without_its_reason() -> None:
    app = create_app({"FLASK_CONFIG": "testing", "PROPAGATE_EXCEPTIONS": False})

    @app.get("/crash")
    def crash() -> None:
        raise ValueError("hunter2")

    answer = app.test_client().get("/crash")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "hunter2" not in answer.text
