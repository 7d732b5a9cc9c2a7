"""What a release may be asked in this test: its environment, and what it can read and write."""

import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qs


def probe(question, argument):
    """Return the answer to one question."""
    if question == "environment":
        return json.dumps(dict(os.environ))
    if question == "sleep":
        time.sleep(float(argument))
        return "slept"
    if question == "write":
        Path(argument).write_text("written")
        return "written"
    if question == "read":
        path = Path(argument)
        return json.dumps(sorted(os.listdir(path))) if path.is_dir() else path.read_text()
    return os.environ["SLIPWAY_RELEASE"]


def app(environ, start_response):
    """Answer 200 with what was asked for, or 403 with the name of the error."""
    asked = parse_qs(environ["QUERY_STRING"]).get("x", [""])[0]
    try:
        status, body = "200 OK", probe(environ["PATH_INFO"].strip("/"), asked)
    except OSError as error:
        status, body = "403 Forbidden", type(error).__name__
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [body.encode("utf-8", "surrogateescape")]
