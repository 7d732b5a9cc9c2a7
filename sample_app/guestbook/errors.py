"""Error pages in the look of the app."""

from __future__ import annotations

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

SENTENCES = {
    400: "The form could not be accepted. Go back, reload the page and send it again.",
    404: "There is nothing at this address.",
    413: "That is more text than this book can take.",
    500: "Something broke on our side. It has been noted; please try again in a moment.",
}


def show(error: HTTPException) -> Response:
    """Render an HTTP error, also the 500 that Flask makes of an unhandled exception."""
    response = error.get_response()
    code = response.status_code
    response.set_data(render_template("error.html", code=code, title=error.name, sentence=SENTENCES.get(code)))
    response.content_type = "text/html; charset=utf-8"
    return response


def init_app(app: Flask) -> None:
    """Register the page for every HTTP error."""
    app.register_error_handler(HTTPException, show)
