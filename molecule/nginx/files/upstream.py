"""An app on a Unix socket that tells what reached it."""

import hashlib
import json
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answer every request with what it was; /slow takes three seconds, /text can be compressed, /own-policy is one.

    /long-header/N has a header of N bytes.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/slow":
            time.sleep(3)
        told = {
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "sha256": hashlib.sha256(body).hexdigest(),
            "text": "slipway " * 500 if self.path == "/text" else "",
        }
        answer = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        if self.path == "/own-policy":
            self.send_header("Content-Security-Policy", "default-src 'self'")
        if self.path.startswith("/long-header/"):
            self.send_header("X-Long", "x" * int(self.path.rpartition("/")[2]))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def address_string(self):
        """A Unix socket has no address."""
        return "nginx"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread a connection."""

    daemon_threads = True


path = Path(sys.argv[1])
path.unlink(missing_ok=True)
server = Server(str(path), Handler)
path.chmod(0o666)
server.serve_forever()
