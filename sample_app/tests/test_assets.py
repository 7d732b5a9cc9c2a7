"""Static files: named by their content, and never older than their sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from guestbook import assets


def test_static_files_are_those_of_their_sources() -> None:
    present = {path.name: path.read_bytes() for path in assets.STATIC.iterdir()}
    assert present == assets.hashed_files(), "static/ is stale: run `flask assets` and commit"


def test_a_build_writes_what_is_missing_and_removes_what_is_old(tmp_path: Path) -> None:
    source, static = tmp_path / "source", tmp_path / "static"
    source.mkdir()
    (source / "style.css").write_text("one")
    assert assets.build(source, static) == ["style.7692c3ad.css", "manifest.json"]

    (source / "style.css").write_text("two")
    assets.build(source, static)
    assert {path.name for path in static.iterdir()} == {"style.3fc4ccfe.css", "manifest.json"}


def test_the_page_uses_hashed_names_that_may_be_kept_for_good(app: Flask, client: FlaskClient) -> None:
    page = client.get("/").text
    for plain in ("style.css", "guestbook.js", "logo.svg"):
        with app.test_request_context():
            url = assets.hashed_static(plain)
        assert f'"{url}"' in page
        with client.get(url) as answer:
            assert answer.status_code == 200
            assert answer.cache_control.max_age == 365 * 24 * 3600


def test_nothing_is_fetched_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "//" not in page.replace("<!doctype html>", "")
    style = (assets.SOURCE / "style.css").read_text()
    assert "@import" not in style
    assert "url(" not in style


def test_a_file_that_the_manifest_does_not_know_is_an_error(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(KeyError, match=r"print\.css"):
        assets.hashed_static("print.css")
