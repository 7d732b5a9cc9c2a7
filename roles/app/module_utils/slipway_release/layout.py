"""Laying out a release's directory: from archives that were shipped, or from a release that is there already."""

from __future__ import annotations

import fnmatch
import grp
import gzip
import hashlib
import inspect
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

from . import archives, cache, check_app, durable, host, start_gunicorn, supervise, trees
from .host import Failure
from .release import Release

# A name with a hash of the content in it, which nginx lets browsers keep for ever: style.3f2a9c1b.css
HASHED = re.compile(r"[.-](?=[0-9A-Za-z]*[0-9])[0-9A-Za-z]{8,64}\.[0-9A-Za-z.]+$")
_PRIVATE = ("__pycache__", "*.py", "*.pyc", ".*")
_SHRINKS = (".css", ".js", ".svg", ".json", ".map", ".txt", ".xml")


def _is_private(name: str) -> bool:
    """Say whether a name below a static directory is nothing for browsers."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _PRIVATE)


def _link_tree(old: Path, new: Path) -> None:
    """Make a tree of the same files by hard links; symbolic links are made anew."""
    shutil.copytree(old, new, symlinks=True, copy_function=_link)


def _link(old: str, new: str) -> None:
    os.link(old, new, follow_symlinks=False)


class Layout:
    """The directory of a release in the making; it gets its name when all of it is there."""

    def __init__(self, release: Release, manifest: dict) -> None:
        self.release, self.manifest = release, manifest
        self.root = release.root
        self.part = release.directory.with_name(release.name + ".part")
        self.group = grp.getgrnam(release.app).gr_gid
        self.python = f"/usr/bin/python{manifest['python']}"

    def unpack(self, shipped: dict, settings: str, carried: list[Release]) -> None:
        """Make the release from its archives; Failure where one is not whole or the disk is full."""
        self._begin()
        _link_tree(self._dependencies(shipped["venv"]), self.part / "venv")
        self._extract(shipped["source"], self.part / "src")
        self._compile(self.part / "src")
        trees.give(self.part / "venv", self.group)
        trees.give(self.part / "src", self.group)
        self._publish()
        self._carry(carried)
        self._finish(settings)

    def copy(self, old: Release, settings: str) -> None:
        """Make the release from one that is there: the same code under other settings, or started anew."""
        self._begin()
        for name in ("venv", "src", "public"):
            _link_tree(old.directory / name, self.part / name)
        trees.give(self.part / "venv", self.group)
        trees.give(self.part / "src", self.group)
        for name in ("schema.json", "carried.json"):
            if (old.directory / name).exists():
                _link(old.directory / name, self.part / name)
        self._finish(settings)

    def _begin(self) -> None:
        shutil.rmtree(self.part, ignore_errors=True)
        shutil.rmtree(self.release.directory, ignore_errors=True)
        self.part.mkdir(mode=0o755, parents=True)
        self.part.chmod(0o755)

    def _finish(self, settings: str) -> None:
        self._programs()
        self._write("env", settings, 0o640, self.group)
        self._write("manifest.json", json.dumps(self.manifest, indent=1, sort_keys=True), 0o644, self.group)
        durable.publish_tree(self.part, self.release.directory)

    def _write(self, name: str, text: str, mode: int, group: int = 0) -> None:
        """Write a file of the release, which is put on the disk with all of it in the end."""
        host.write(self.part / name, text, mode, group, lasting=False)

    def _extract(self, wanted: dict, target: Path) -> None:
        """Unpack an archive whose checksum is the one that the control node named, into a directory of the release."""
        file = self.root / "incoming" / wanted["name"]
        target.mkdir(mode=0o750)
        try:
            with open(file, "rb") as handle:
                found = hashlib.file_digest(handle, "sha256").hexdigest()
            if found != wanted["sha256"]:
                raise Failure("unpack", f"{file} is not what the control node sent (sha256 {found})")
            with tarfile.open(file, "r:gz") as archive:
                archives.extract(archive, target, self._may_lead_out)
        except archives.RefusedError as error:
            raise Failure("unpack", f"{file.name}: {error}. Nothing of it is used or was written elsewhere") from error
        except (OSError, tarfile.TarError, EOFError) as error:
            raise Failure("unpack", f"{file}: {error}") from error

    def _may_lead_out(self, name: str, to: str) -> bool:
        """Say whether a link may lead out of its tree: to the machine's Python, or to what outlives releases."""
        if to == self.python:
            return re.fullmatch(r"bin/python[0-9.]*", name) is not None
        return Path(os.path.normpath(to)).is_relative_to(self.root / "shared")

    def _dependencies(self, archive: dict) -> Path:
        """Return the unpacked dependencies, which releases with the same lock share by hard links."""
        kept = self.root / "cache" / archive["digest"]
        if not cache.is_whole(kept):
            shutil.rmtree(kept, ignore_errors=True)
            part = kept.with_name(kept.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o750, parents=True)
            self._extract(archive, part / "venv")
            self._compile(part / "venv")
            trees.give(part, self.group)
            cache.seal(part)
            durable.publish_tree(part, kept)
        return kept / "venv"

    def _compile(self, directory: Path) -> None:
        """Compile what can be: the app's user may not write the result beside its code."""
        subprocess.run([self.python, "-m", "compileall", "-q", "-j", "0", str(directory)], capture_output=True)

    def _publish(self) -> None:
        """Lay out the static files where nginx may read them, with a compressed copy of what shrinks."""
        public = self.part / "public"
        public.mkdir(mode=0o755)
        for entry in self.manifest["static"]:
            try:
                trees.publish(self.part / "src", entry["path"], public / entry["url"].strip("/"), _is_private)
            except (trees.OutsideError, OSError) as error:
                raise Failure("unpack", f"the static files of {entry['path']} cannot be published: {error}") from error
        for path in [public, *public.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
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
            for path, directory, name, status in trees.walk(top):
                target = public / path
                if not stat.S_ISREG(status.st_mode) or not HASHED.search(name):
                    continue
                if str(path) in inherited or target.exists():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(name, target, src_dir_fd=directory, follow_symlinks=False)
                carried.append(str(path))
        self._write("carried.json", json.dumps({"files": carried}), 0o644)

    def _programs(self) -> None:
        """Write a launcher for each process of the app, and the gunicorn that takes systemd's socket over."""
        home, made = self.release.directory, self.manifest
        (self.part / "bin").mkdir()
        lines = {"web": made["web"], **made["processes"]}
        lines |= {f"{host.CLOCK}.{name}": entry["command"] for name, entry in made.get("scheduled", {}).items()}
        if made["migrate"]:
            lines["release"] = made["migrate"]
        if made.get("wsgi") or made["migrate"]:
            target = shlex.quote(made.get("wsgi") or "")
            lines["slipway.check"] = f"SLIPWAY_WSGI={target} exec {home}/venv/bin/python3 {home}/bin/check.py"
        roots = ":".join([str(home / "src"), *(str(home / "src" / root) for root in made["roots"] if root != ".")])
        for name, line in lines.items():
            text = (
                "#!/bin/sh\n"
                f"export PATH={home}/bin:{home}/venv/bin:/usr/local/bin:/usr/bin:/bin VIRTUAL_ENV={home}/venv\n"
                f'export PYTHONPATH="{roots}${{PYTHONPATH:+:$PYTHONPATH}}"\n'
                f"cd {home}/src || exit 1\n{self._before(name)}{line}\n"
            )
            self._write(f"bin/{name}", text, 0o750, self.group)
        start = f"#!{home}/venv/bin/python3\n{inspect.getsource(start_gunicorn)}"
        self._write("bin/gunicorn", start, 0o750, self.group)
        self._write(
            "bin/slipway-supervise", f"#!/usr/bin/python3 -I\n{inspect.getsource(supervise)}", 0o750, self.group
        )
        self._write("bin/check.py", inspect.getsource(check_app), 0o640, self.group)
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
