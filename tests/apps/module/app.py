"""No Procfile, no package: one file with an app in it."""

import os

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    """Tell which release and setting answers, and what the proxy said."""
    return {
        "app": "module",
        "release": os.environ["SLIPWAY_RELEASE"],
        "greeting": os.environ.get("GREETING", ""),
        "scheme": request.scheme,
        "debug": app.debug,
    }
