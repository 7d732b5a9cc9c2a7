"""Ask an app that opened its database at import for many rows at once: each answer must be its own request's."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


def ask(path: str) -> dict:
    """Return the answer to a request over the live release's socket."""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(f"/srv/{sys.argv[1]}/current/web.sock")
    connection.request("GET", path)
    answer = connection.getresponse()
    return {"status": answer.status} | (json.loads(answer.read()) if answer.status == 200 else {})


with ThreadPoolExecutor(16) as pool:
    rows = list(pool.map(lambda number: ask(f"/row/{number}"), range(480)))
    jobs = list(pool.map(lambda _: ask("/job"), range(12)))
    workers = {each["worker"] for each in pool.map(lambda _: ask("/"), range(60))}
wrong = [row for row in rows if row.get("asked") != row.get("got") or row["status"] != 200]
print(
    json.dumps({"wrong": len(wrong), "dead": sum(1 for each in jobs if not each.get("done")), "workers": len(workers)})
)
