"""The page and its form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from guestbook.entries import PER_PAGE
from guestbook.extensions import db
from guestbook.models import MESSAGE_LENGTH, NAME_LENGTH, Entry
from werkzeug.test import TestResponse

Sign = Callable[[str, str], TestResponse]


def stored(app: Flask) -> list[tuple[str, str]]:
    """Return the entries in the order of the page."""
    with app.app_context():
        return [(e.name, e.message) for e in db.session.scalars(Entry.newest_first())]


def test_an_empty_book_invites_to_write(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Nobody has written yet" in page
    assert "0 entries" in page


def test_an_entry_is_stored_shown_and_thanked_for_once(app: Flask, client: FlaskClient, sign: Sign) -> None:
    answer = sign("Ada", "First!\r\nSecond line")
    assert (answer.status_code, answer.location) == (303, "/")
    assert stored(app) == [("Ada", "First!\nSecond line")]

    page = client.get("/").text
    assert "First!\nSecond line" in page
    assert "1 entry" in page
    assert "Thank you!" in page
    assert "Thank you!" not in client.get("/").text


def test_the_newest_entry_comes_first(app: Flask, sign: Sign) -> None:
    for name in ("one", "two", "three"):
        sign(name, "hello")
    assert [name for name, _ in stored(app)] == ["three", "two", "one"]


@pytest.mark.parametrize(
    ("name", "message", "error"),
    [
        ("", "hello", "Please tell us your name."),
        (" \t ", "hello", "Please tell us your name."),
        ("Ada", "", "Please write a message."),
        ("Ada", "\r\n \0", "Please write a message."),
        ("x" * (NAME_LENGTH + 1), "hello", "A name has at most 60 characters."),
        ("Ada", "x" * (MESSAGE_LENGTH + 1), "A message has at most 500 characters."),
    ],
)
def test_a_bad_entry_is_refused_with_the_reason(app: Flask, sign: Sign, name: str, message: str, error: str) -> None:
    answer = sign(name, message)
    assert answer.status_code == 422
    assert error in answer.text
    assert answer.text.count("aria-invalid") == 1
    assert stored(app) == []


def test_what_was_typed_survives_a_refusal(sign: Sign) -> None:
    assert "a long thought</textarea>" in sign("", "a long thought").text


def test_the_longest_entry_fits_with_its_lines_counted_as_the_browser_does(app: Flask, sign: Sign) -> None:
    message = "ü\r\n" * (MESSAGE_LENGTH // 2 - 1) + "ü!"
    assert sign("ü" * NAME_LENGTH, message).status_code == 303
    assert len(stored(app)[0][1]) == MESSAGE_LENGTH


def test_html_in_an_entry_is_shown_not_run(client: FlaskClient, sign: Sign) -> None:
    sign("<b>Eve</b>", "<script>alert(1)</script> & more")
    page = client.get("/").text
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "<script>alert" not in page


def test_a_form_without_its_token_is_refused(app: Flask, client: FlaskClient) -> None:
    answer = client.post("/", data={"name": "Eve", "message": "from elsewhere"})
    assert answer.status_code == 400
    assert "reload the page" in answer.text
    assert stored(app) == []


def test_a_token_of_somebody_else_is_refused(app: Flask, sign: Sign) -> None:
    stranger = app.test_client()
    token = sign("", "").text.split('name="csrf_token" type="hidden" value="')[1].split('"')[0]
    form = {"csrf_token": token, "name": "Eve", "message": "from elsewhere"}
    assert stranger.post("/", data=form).status_code == 400
    assert stored(app) == []


def test_old_entries_move_to_further_pages(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        start = datetime(2026, 1, 1, tzinfo=UTC)
        for number in range(PER_PAGE + 1):
            when = start + timedelta(minutes=number)
            db.session.add(Entry(name="Ada", message=f"number {number};", created=when))
        db.session.commit()

    first, second = client.get("/").text, client.get("/page/2").text
    assert f"number {PER_PAGE};" in first
    assert "number 0;" not in first
    assert 'href="/page/2"' in first
    assert "number 0;" in second
    assert 'rel="prev" href="/"' in second


@pytest.mark.parametrize("path", ["/page/2", "/page/99999999999999999999", "/page/x"])
def test_a_page_that_does_not_exist_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_times_are_utc_whatever_zone_the_database_speaks() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    tokyo = noon.astimezone(timezone(timedelta(hours=9)))
    for answer in (noon, tokyo, noon.replace(tzinfo=None)):
        assert Entry(created=answer).created_utc.isoformat() == "2026-03-01T12:00:00+00:00"


def test_the_entries_command_counts(runner: FlaskCliRunner, sign: Sign) -> None:
    assert runner.invoke(args=["entries"]).stdout.strip() == "0"
    sign("Ada", "hello")
    assert runner.invoke(args=["entries"]).stdout.strip() == "1"
