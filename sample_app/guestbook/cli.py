"""Commands of the app, beside those of Flask and Flask-Migrate."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy import func, select

from guestbook import assets
from guestbook.extensions import db
from guestbook.models import Entry


@click.command("assets")
def assets_command() -> None:
    """Write the hashed static files and their manifest from assets_src/."""
    for name in assets.build():
        click.echo(name)


@click.command("entries")
@with_appcontext
def entries_command() -> None:
    """Print the number of entries."""
    click.echo(db.session.scalar(select(func.count()).select_from(Entry)))


def init_app(app: Flask) -> None:
    """Add the commands to ``flask``."""
    app.cli.add_command(assets_command)
    app.cli.add_command(entries_command)
