"""The layout of Flask's tutorial: a factory, and static files beside it."""

import os

from flask import Flask


def create_app():
    """Make the app."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]

    @app.get("/")
    def index():
        return {"app": "factory", "secret": len(app.config["SECRET_KEY"])}

    return app
