"""An app under another name than app."""

import threading

from flask import Flask

application = Flask(__name__)


@application.get("/")
def index():
    """Tell the thread that answers."""
    return {"app": "gthread", "thread": threading.current_thread().name}
