"""Settings. Secrets come from the environment only and have no defaults."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from flask import Flask

HINTS = {
    "SECRET_KEY": "a long random value, the same for all processes of the app",
    "SQLALCHEMY_DATABASE_URI": "for example postgresql://user:password@host/database",
}


class ConfigError(RuntimeError):
    """A setting is missing or cannot be used. Its message never contains the value."""


class Config:
    """What all configurations share."""

    required: tuple[str, ...] = tuple(HINTS)

    BEHIND_PROXY = False
    MAX_CONTENT_LENGTH = 64 * 1024
    # All static files carry a hash of their content in the name: a new content is a new URL.
    SEND_FILE_MAX_AGE_DEFAULT = 365 * 24 * 3600
    SESSION_COOKIE_HTTPONLY = True
    SESSION_COOKIE_SAMESITE = "Lax"
    SQLALCHEMY_ENGINE_OPTIONS: ClassVar[dict[str, Any]] = {"pool_pre_ping": True}
    # A form left open over lunch must still be accepted: the token lives as long as the session.
    WTF_CSRF_TIME_LIMIT = None


class DevelopmentConfig(Config):
    """On a developer's machine, over plain http."""


class TestingConfig(Config):
    """Reads no secrets from the environment, so that a test never meets a real database."""

    required = ()

    TESTING = True
    SECRET_KEY = secrets.token_hex()
    SQLALCHEMY_DATABASE_URI = "sqlite://"


class ProductionConfig(Config):
    """Behind nginx, over https, with PostgreSQL."""

    BEHIND_PROXY = True
    PREFERRED_URL_SCHEME = "https"
    SESSION_COOKIE_SECURE = True
    # The driver's own limit is over two minutes: too long for /readyz to say what is wrong.
    SQLALCHEMY_ENGINE_OPTIONS: ClassVar[dict[str, Any]] = {
        **Config.SQLALCHEMY_ENGINE_OPTIONS,
        "connect_args": {"connect_timeout": 3},
    }


CONFIGS: dict[str, type[Config]] = {
    "development": DevelopmentConfig,
    "testing": TestingConfig,
    "production": ProductionConfig,
}


def configure(app: Flask, overrides: Mapping[str, Any]) -> None:
    """Fill ``app.config`` from the chosen class, then the environment, then ``overrides``.

    Without ``FLASK_CONFIG`` the choice is production: what is forgotten must fail on the
    strict side.

    Raises:
        ConfigError: the configuration is unknown, a required setting is missing or empty,
            or production was given a database other than PostgreSQL.
    """
    name = overrides.get("FLASK_CONFIG") or os.environ.get("FLASK_CONFIG") or "production"
    if name not in CONFIGS:
        raise ConfigError(f"FLASK_CONFIG must be one of {', '.join(CONFIGS)}, not {name!r}")
    chosen = CONFIGS[name]

    app.config.from_object(chosen)
    app.config["RELEASE"] = os.environ.get("SLIPWAY_RELEASE") or "development"
    app.config.update({key: os.environ.get(key) for key in chosen.required})
    app.config.update(overrides)

    missing = [key for key in chosen.required if not app.config[key]]
    if missing:
        wanted = "; ".join(f"{key} ({HINTS[key]})" for key in missing)
        raise ConfigError(f"the {name} configuration needs in its environment: {wanted}")

    uri = with_installed_driver(app.config["SQLALCHEMY_DATABASE_URI"])
    if chosen is ProductionConfig and not uri.startswith("postgresql"):
        raise ConfigError("SQLALCHEMY_DATABASE_URI must name a PostgreSQL database in production")
    app.config["SQLALCHEMY_DATABASE_URI"] = uri


def with_installed_driver(uri: str) -> str:
    """Name psycopg 3 in a PostgreSQL URI that leaves the driver open.

    Args:
        uri: a database URI; ``postgres://``, as some hosts write it, is accepted too.

    Returns:
        The same URI with ``postgresql+psycopg://``, or unchanged if it names a driver
        or another database.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme in {"postgres", "postgresql"}:
        scheme = "postgresql+psycopg"
    return scheme + separator + rest
