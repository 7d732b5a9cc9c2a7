"""Laying out a release's directory: from archives that were shipped, or from a release that is there already."""

from __future__ import annotations

import grp
import gzip
import hashlib
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

from . import check_app, host
from .host import Failure
from .release import Release

# A name with a hash of the content in it, which nginx lets browsers keep for ever: style.3f2a9c1b.css
HASHED = re.compile(r"[.-](?=[0-9A-Za-z]*[0-9])[0-9A-Za-z]{8,64}\.[0-9A-Za-z.]+$")
_SHRINKS = (".css", ".js", ".svg", ".json", ".map", ".txt", ".xml")

# gunicorn as systemd starts it: it takes the socket over and says who it is, behind whatever shell.
SHIM = '''#!{python}
"""gunicorn as systemd starts it: it takes the socket over and says who it is, behind whatever shell."""
import os
import socket
import sys

from gunicorn import version_info
from gunicorn.app.wsgiapp import run

if os.environ.get("LISTEN_FDS"):
    os.environ["LISTEN_PID"] = str(os.getpid())
    # The Procfile may name a port; the socket that systemd holds goes before it.
arguments = os.environ.get("GUNICORN_CMD_ARGS", "")
if version_info >= (25,):
    arguments = "--no-control-socket " + arguments
os.environ["GUNICORN_CMD_ARGS"] = arguments
if os.environ.get("SLIPWAY_WORKERS"):
    sys.argv += ["--workers", os.environ["SLIPWAY_WORKERS"]]
address = os.environ.get("NOTIFY_SOCKET")
if address:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect("\\0" + address[1:] if address.startswith("@") else address)
        notify.sendall(b"MAINPID=%d" % os.getpid())
sys.argv[0] = "gunicorn"
sys.exit(run())
'''


class Layout:
    """The directory of a release in the making; it gets its name when all of it is there."""

    def __init__(self, release: Release, manifest: dict) -> None:
        self.release, self.manifest = release, manifest
        self.root = release.root
        self.part = release.directory.with_name(release.name + ".part")
        self.group = grp.getgrnam(release.app).gr_gid
        self.python = f"/usr/bin/python{manifest['python']}"

    def unpack(self, archives: dict, settings: str, carried: list[Release]) -> None:
        """Make the release from its archives; Failure where one is not whole or the disk is full."""
        self._begin()
        shutil.copytree(self._dependencies(archives["venv"]), self.part / "venv", symlinks=True, copy_function=os.link)
        self._extract(archives["source"], self.part)
        (self.part / "src").mkdir(exist_ok=True)
        self._compile(self.part / "src")
        host.own(self.part / "venv", self.group)
        host.own(self.part / "src", self.group)
        self._publish()
        self._carry(carried)
        self._finish(settings)

    def copy(self, old: Release, settings: str) -> None:
        """Make the release from one that is there: the same code under other settings, or started anew."""
        self._begin()
        for name in ("venv", "src", "public"):
            shutil.copytree(old.directory / name, self.part / name, symlinks=True, copy_function=os.link)
        host.own(self.part / "venv", self.group)
        host.own(self.part / "src", self.group)
        for name in ("schema.json", "carried.json"):
            if (old.directory / name).exists():
                os.link(old.directory / name, self.part / name)
        self._finish(settings)

    def _begin(self) -> None:
        shutil.rmtree(self.part, ignore_errors=True)
        shutil.rmtree(self.release.directory, ignore_errors=True)
        self.part.mkdir(mode=0o755, parents=True)
        self.part.chmod(0o755)

    def _finish(self, settings: str) -> None:
        self._programs()
        host.write(self.part / "env", settings, 0o640, self.group)
        text = json.dumps(self.manifest, indent=1, sort_keys=True)
        host.write(self.part / "manifest.json", text, 0o644, self.group)
        os.sync()
        self.part.rename(self.release.directory)

    def _extract(self, wanted: dict, target: Path) -> None:
        """Unpack an archive whose checksum is the one that the control node named."""
        file = self.root / "incoming" / wanted["name"]
        try:
            with open(file, "rb") as handle:
                found = hashlib.file_digest(handle, "sha256").hexdigest()
            if found != wanted["sha256"]:
                raise Failure("unpack", f"{file} is not what the control node sent (sha256 {found})")
            with tarfile.open(file, "r:gz") as archive:
                archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
                archive.extractall(target)
        except (OSError, tarfile.TarError, EOFError) as error:
            raise Failure("unpack", f"{file}: {error}") from error

    def _dependencies(self, archive: dict) -> Path:
        """Return the unpacked dependencies, which releases with the same lock share by hard links."""
        kept = self.root / "cache" / archive["digest"]
        if not kept.is_dir():
            part = kept.with_name(kept.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o750, parents=True)
            self._extract(archive, part)
            self._compile(part / "venv")
            host.own(part, self.group)
            os.chown(part, 0, 0)
            part.rename(kept)
        return kept / "venv"

    def _compile(self, directory: Path) -> None:
        """Compile what can be: the app's user may not write the result beside its code."""
        subprocess.run([self.python, "-m", "compileall", "-q", "-j", "0", str(directory)], capture_output=True)

    def _publish(self) -> None:
        """Lay out the static files where nginx may read them, with a compressed copy of what shrinks."""
        public = self.part / "public"
        public.mkdir(mode=0o755)
        for entry in self.manifest["static"]:
            shutil.copytree(
                self.part / "src" / entry["path"],
                public / entry["url"].strip("/"),
                symlinks=False,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__", "*.py", "*.pyc", ".*"),
            )
        for path in [public, *public.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.chown(path, 0, 0)
            if path.is_file() and path.suffix in _SHRINKS and path.stat().st_size > 500:
                packed = path.with_name(path.name + ".gz")
                packed.write_bytes(gzip.compress(path.read_bytes(), 9))
                packed.chmod(0o644)

    def _carry(self, releases: list[Release]) -> None:
        """Keep the hashed files of earlier releases, which pages that are open in a browser still ask for."""
        public, carried = self.part / "public", []
        for old in releases:
            top = old.directory / "public"
            inherited = set(old.read("carried.json").get("files", []))
            for path in sorted(top.rglob("*")):
                below = str(path.relative_to(top))
                target = public / below
                if not path.is_file() or not HASHED.search(path.name) or below in inherited or target.exists():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target)
                carried.append(below)
        host.write(self.part / "carried.json", json.dumps({"files": carried}), 0o644)

    def _programs(self) -> None:
        """Write a launcher for each process of the app, and the gunicorn that takes systemd's socket over."""
        home, made = self.release.directory, self.manifest
        (self.part / "bin").mkdir()
        lines = {"web": made["web"], **made["processes"]}
        lines |= {f"{host.CLOCK}.{name}": entry["command"] for name, entry in made.get("scheduled", {}).items()}
        if made["migrate"]:
            lines["release"] = made["migrate"]
        if made.get("wsgi"):
            target = shlex.quote(made["wsgi"])
            lines["slipway.check"] = f"SLIPWAY_WSGI={target} exec {home}/venv/bin/python3 {home}/bin/check.py"
        roots = ":".join([str(home / "src"), *(str(home / "src" / root) for root in made["roots"] if root != ".")])
        for name, line in lines.items():
            text = (
                "#!/bin/sh\n"
                f"export PATH={home}/bin:{home}/venv/bin:/usr/local/bin:/usr/bin:/bin VIRTUAL_ENV={home}/venv\n"
                f'export PYTHONPATH="{roots}${{PYTHONPATH:+:$PYTHONPATH}}"\n'
                f"cd {home}/src || exit 1\n{self._before(name)}{line}\n"
            )
            host.write(self.part / "bin" / name, text, 0o750, self.group)
        host.write(self.part / "bin" / "gunicorn", SHIM.format(python=home / "venv/bin/python3"), 0o750, self.group)
        host.write(self.part / "bin" / "check.py", inspect.getsource(check_app), 0o640, self.group)
        (self.part / "bin").chmod(0o750)
        os.chown(self.part / "bin", 0, self.group)

    def _before(self, process: str) -> str:
        """Return what a launcher does first: take the number of workers, or limit what a migration may lock."""
        if process == "web":
            file = self.root / "scale" / "web"
            return (
                f"if read -r SLIPWAY_WORKERS 2>/dev/null <{file}; then\n"
                "    export SLIPWAY_WORKERS WEB_CONCURRENCY=$SLIPWAY_WORKERS\nfi\n"
            )
        if process == "release":
            # Given to systemd with the unit: how long a migration waits for a lock, and one statement of it may take.
            return 'export PGOPTIONS="${PGOPTIONS:+$PGOPTIONS }$SLIPWAY_MIGRATE_OPTIONS"\n'
        return ""
