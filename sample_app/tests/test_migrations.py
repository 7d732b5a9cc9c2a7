"""Migrations: they lead to the tables that the models describe, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from guestbook import create_app
from guestbook.extensions import db
from sqlalchemy import inspect


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Flask]:
    """An app whose database has no tables yet."""
    uri = f"sqlite:///{tmp_path / 'empty.db'}"
    app = create_app({"FLASK_CONFIG": "testing", "SQLALCHEMY_DATABASE_URI": uri})
    yield app
    with app.app_context():
        db.engine.dispose()


def tables(app: Flask) -> set[str]:
    """Return the names of all tables."""
    with app.app_context():
        return set(inspect(db.engine).get_table_names())


def test_starting_the_app_migrates_nothing(empty: Flask) -> None:
    empty.test_client().get("/healthz")
    assert tables(empty) == set()


def test_an_upgrade_leads_to_what_the_models_say(empty: Flask) -> None:
    flask = empty.test_cli_runner()
    assert flask.invoke(args=["db", "upgrade"]).exit_code == 0
    assert tables(empty) == {"alembic_version", "entries"}
    check = flask.invoke(args=["db", "check"])
    assert (check.exit_code, check.exception) == (0, None), check.output


def test_every_migration_can_be_taken_back(empty: Flask) -> None:
    flask = empty.test_cli_runner()
    flask.invoke(args=["db", "upgrade"], catch_exceptions=False)
    flask.invoke(args=["db", "downgrade", "base"], catch_exceptions=False)
    assert tables(empty) == {"alembic_version"}
