"""A web line that is a small shell script: something first, then gunicorn with a setting of its own."""

import os
from pathlib import Path

from flask import Flask

app = Flask(__name__)
NOTE = Path(os.environ.get("HOME", "/tmp")) / "started"


@app.cli.command("note-start")
def note_start():
    """What runs before gunicorn, as migrations do in many a Procfile."""
    NOTE.write_text("noted")


@app.get("/")
def index():
    """Tell whether that ran, and what gunicorn was given."""
    return {"app": "composite", "note": NOTE.read_text(), "greeting": os.environ["GREETING"]}
