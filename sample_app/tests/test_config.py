"""Settings: what is missing stops the start, and production is strict."""

from __future__ import annotations

import importlib
import sys

import pytest
from flask import Flask, request, session
from guestbook import create_app
from guestbook.config import ConfigError, with_installed_driver

COMPLETE = {
    "FLASK_CONFIG": "production",
    "SECRET_KEY": "a-key-of-the-tests",
    "SQLALCHEMY_DATABASE_URI": "postgresql://guestbook:hunter2@127.0.0.1:1/guestbook",
    "SLIPWAY_RELEASE": "v1.2.3-abc",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete production environment, for a test to spoil."""
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def production(environment: pytest.MonkeyPatch) -> Flask:
    """The app as gunicorn imports it."""
    environment.delitem(sys.modules, "wsgi", raising=False)
    return importlib.import_module("wsgi").app


@pytest.mark.parametrize("configuration", ["production", "development"])
@pytest.mark.parametrize("name", ["SECRET_KEY", "SQLALCHEMY_DATABASE_URI"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_secret_stops_the_start(
    environment: pytest.MonkeyPatch, configuration: str, name: str, value: str | None
) -> None:
    environment.setenv("FLASK_CONFIG", configuration)
    environment.delenv(name) if value is None else environment.setenv(name, value)
    with pytest.raises(ConfigError, match=rf"{configuration} configuration .*{name} \("):
        create_app()


def test_all_missing_settings_are_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SECRET_KEY")
    environment.delenv("SQLALCHEMY_DATABASE_URI")
    with pytest.raises(ConfigError, match=r"SECRET_KEY .*; SQLALCHEMY_DATABASE_URI "):
        create_app()


def test_without_a_choice_the_configuration_is_production(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("FLASK_CONFIG")
    assert create_app().config["SESSION_COOKIE_SECURE"] is True


def test_an_unknown_configuration_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FLASK_CONFIG", "prod")
    with pytest.raises(ConfigError, match="one of development, testing, production, not 'prod'"):
        create_app()


def test_production_refuses_sqlite_without_repeating_the_address(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SQLALCHEMY_DATABASE_URI", "sqlite:///secret-place.db")
    with pytest.raises(ConfigError, match="must name a PostgreSQL database") as error:
        create_app()
    assert "secret-place" not in str(error.value)


@pytest.mark.usefixtures("environment")
def test_tests_never_meet_the_database_of_the_environment() -> None:
    app = create_app({"FLASK_CONFIG": "testing"})
    assert app.config["SQLALCHEMY_DATABASE_URI"] == "sqlite://"
    assert app.config["SECRET_KEY"] != COMPLETE["SECRET_KEY"]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p%40@h/d?host=/run", "postgresql+psycopg://u:p%40@h/d?host=/run"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("sqlite:///file.db", "sqlite:///file.db"),
    ],
)
def test_a_postgresql_uri_gets_the_installed_driver(given: str, used: str) -> None:
    assert with_installed_driver(given) == used


def test_production_cookies_are_for_https_only(production: Flask) -> None:
    @production.get("/remember")
    def remember() -> str:
        session["seen"] = True
        return "ok"

    cookie = production.test_client().get("/remember").headers["Set-Cookie"]
    for flag in ("Secure", "HttpOnly", "SameSite=Lax"):
        assert flag in cookie


def test_production_believes_one_proxy_and_no_more(production: Flask) -> None:
    @production.get("/seen")
    def seen() -> dict[str, str | None]:
        return {"client": request.remote_addr, "url": request.url}

    forwarded = {
        "X-Forwarded-For": "192.0.2.1, 203.0.113.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "guestbook.example",
    }
    answer = production.test_client().get("/seen", headers=forwarded)
    assert answer.json == {"client": "203.0.113.7", "url": "https://guestbook.example/seen"}


def test_without_a_proxy_its_headers_are_not_believed(app: Flask) -> None:
    with app.test_client() as client:
        client.get("/healthz", headers={"X-Forwarded-For": "203.0.113.7"})
        assert request.remote_addr == "127.0.0.1"


def test_the_footer_shows_the_release(environment: pytest.MonkeyPatch) -> None:
    page = create_app({"FLASK_CONFIG": "testing"}).test_client().get("/nowhere").text
    assert '<code id="release">v1.2.3-abc</code>' in page
    environment.delenv("SLIPWAY_RELEASE")
    page = create_app({"FLASK_CONFIG": "testing"}).test_client().get("/nowhere").text
    assert '<code id="release">development</code>' in page
