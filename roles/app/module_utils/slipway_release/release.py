"""One release of an app: its name, its directory, its units, and what it says."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import subprocess

from . import host

# What makes a release another one; the rest of a manifest only tells about it.
CONTENT = (
    "web",
    "wsgi",
    "processes",
    "scheduled",
    "migrate",
    "static",
    "roots",
    "source",
    "dependencies",
    "python",
    "settings",
)


def content_id(manifest: dict) -> str:
    """Return the id of a content: 12 hex digits of a sha256 over what makes a release another one."""
    content = {key: manifest.get(key) for key in CONTENT}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def name(manifest: dict) -> str:
    """Return the name of a release's directory and instance: its content's id, or another for each restart of it."""
    if not manifest.get("generation"):
        return manifest["id"]
    return hashlib.sha256(f"{manifest['id']}:{manifest['generation']}".encode()).hexdigest()[:12]


def settings_digest(text: str) -> str:
    """Return the digest of a release's environment file."""
    return hashlib.sha256(text.encode()).hexdigest()


_SETTING = re.compile(r'^([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"\n', re.M | re.S)


def decode_environment(text: str) -> dict[str, str]:
    """Return the settings of a release's environment file, as the control node encoded them."""
    return {found[1]: re.sub(r"\\(.)", r"\1", found[2], flags=re.S) for found in _SETTING.finditer(text)}


def change_environment(text: str, new: str, unset: list[str]) -> str:
    """Return an environment file with the settings of another one put over it, and some taken out; sorted by name."""
    lines = {found[1]: found[0] for part in (text, new) for found in _SETTING.finditer(part)}
    return "".join(lines[key] for key in sorted(lines) if key not in unset)


class Release:
    """One release of an app on this machine: a directory below /srv/APP/releases and the units that run it."""

    def __init__(self, app: str, name: str) -> None:
        self.app, self.name = app, name
        self.root = host.ROOT / app
        self.directory = self.root / "releases" / name
        self.socket_unit = f"{app}-web@{name}.socket"
        self.service = f"{app}-web@{name}.service"
        self.socket = self.directory / "web.sock"

    @property
    def manifest(self) -> dict:
        """What the release was made of; empty where it is not whole."""
        return self.read("manifest.json")

    @property
    def schema(self) -> dict:
        """What its migration left: ``heads`` (Alembic revisions); empty where nothing is known."""
        return self.read("schema.json")

    def read(self, file: str) -> dict:
        """Return a JSON file of the release's directory; empty where it is not there or not whole."""
        try:
            return json.loads((self.directory / file).read_text())
        except (OSError, ValueError):
            return {}

    def processes(self) -> list[str]:
        """Return the units of the release's other processes, as many of each as the machine shall run."""
        units = []
        for process in self.manifest.get("processes", {}):
            units += [f"{self.app}-{stem}@{self.name}.service" for stem in stems(process, scale(self.app, process))]
        return units

    def units(self) -> list[str]:
        """Return all units that keep the release up."""
        return [self.socket_unit, self.service, *self.processes()]

    def log(self, unit: str, since: float, lines: int = 25) -> list[str]:
        """Return the last lines that a unit wrote since a time (seconds since 1970), secrets struck out."""
        # The line that says why comes last, and the journal may still be taking it in.
        subprocess.run(["journalctl", "--sync"], capture_output=True)
        # From the end: with --since alone, --lines means the first lines.
        asked = ["--reverse", f"--since=@{int(since)}", f"--lines={lines}", "--output=cat", "--no-pager"]
        done = subprocess.run(["journalctl", "--unit", unit, *asked], capture_output=True, text=True)
        return [self.redact(line) for line in reversed(done.stdout.splitlines())]

    def redact(self, text: str) -> str:
        """Strike out the values of the settings that are secret."""
        try:
            settings = decode_environment((self.directory / "env").read_text())
        except OSError:
            return text
        for key in self.manifest.get("secrets", []):
            for line in settings.get(key, "").splitlines():
                if len(line) >= 4:
                    text = text.replace(line, "********")
        return text

    def get(self, path: str, asked: str, timeout: float, size: int = 300) -> tuple[int, str]:
        """Ask the release for a path over its own socket, as nginx would; return the status and the answer's start.

        ``timeout`` is in seconds, ``size`` in bytes. Raises OSError and http.client.HTTPException.
        """
        connection = http.client.HTTPConnection(asked or "localhost", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(self.socket))
        forwarded = {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Host": asked or "localhost",
        }
        try:
            connection.request("GET", path, headers={"User-Agent": "slipway-health", **forwarded})
            answer = connection.getresponse()
            return answer.status, answer.read(size).decode("utf-8", "replace")
        finally:
            connection.close()


def scale(app: str, process: str) -> int | None:
    """Return how many of a process the machine shall run; None where nobody said."""
    try:
        return int((host.ROOT / app / "scale" / process).read_text())
    except (OSError, ValueError):
        return None


def stems(process: str, count: int | None) -> list[str]:
    """Return the names of a process's instances: worker, worker.2, worker.3."""
    return [
        process if number == 1 else f"{process}.{number}" for number in range(1, (1 if count is None else count) + 1)
    ]
