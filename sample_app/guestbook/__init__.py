"""The guestbook: visitors leave a name and a message."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from guestbook import assets, cli, config, entries, errors, headers, health, logs
from guestbook.extensions import csrf, db, migrate


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """Build the application.

    Args:
        overrides: settings that win over the environment. ``FLASK_CONFIG`` among them
            chooses the configuration, as the environment variable does.

    Returns:
        The application. Building it opens no connection and migrates nothing.

    Raises:
        guestbook.config.ConfigError: a setting is missing or cannot be used.
    """
    app = Flask(__name__)
    config.configure(app, overrides or {})
    # First of all hooks, so that a request refused by a later one is logged and timed too.
    logs.init_app(app)

    db.init_app(app)
    migrate.init_app(app, db, directory=str(Path(app.root_path).parent / "migrations"))
    csrf.init_app(app)
    assets.init_app(app)

    app.register_blueprint(entries.blueprint)
    app.register_blueprint(health.blueprint)
    errors.init_app(app)
    headers.init_app(app)
    cli.init_app(app)

    if app.config["BEHIND_PROXY"]:
        # One hop: only what our own nginx added is believed, not what the client sent.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    return app
