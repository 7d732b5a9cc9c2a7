"""A package with a factory and data of its own."""

from importlib.resources import files

from flask import Flask


def create_app():
    """Make the app."""
    app = Flask(__name__)

    @app.get("/")
    def index():
        return {"app": "uvproject", "data": files("shop").joinpath("data.txt").read_text().strip()}

    return app
