"""Making what is shipped to a machine: one archive of the app's files, one of its dependencies.

Dependencies are resolved by uv on the control node for the machine's Python and platform, so that the
machine itself needs no access to a package index. Both archives are kept in a cache under their digest.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from ansible.module_utils.slipway_app import sandbox, source, text
from ansible.module_utils.slipway_app.errors import AppError

REVISION = "1"  # raised when the layout of the archives changes
# The newest manylinux policy that a Debian release's glibc satisfies and that uv knows.
_GLIBC = {"12": "2_36", "13": "2_40"}
_LOCAL_PROJECT = re.compile(r"^\s*(?:(?:-e|--editable)[\s=]+)?\.(?:\[.*\])?\s*(?:#.*)?$")
_SCRIPT_HEAD = '#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")/python3" "$0" "$@"\n\' \'\'\'\n'
# Drivers of PostgreSQL by their distributions, the ones that go first first, and what SQLAlchemy calls them.
_DRIVERS = {"psycopg2-binary": "psycopg2", "psycopg2": "psycopg2", "psycopg": "psycopg", "pg8000": "pg8000"}
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.M)


def normal(name: str) -> str:
    """Return a distribution's name in the form of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def drivers_scheme(plan: dict) -> str:
    """Return the SQLAlchemy scheme for the PostgreSQL driver that an app depends on, the plain one where none is named.

    The driver is in it wherever one is known: what a plain ``postgresql:`` means changes (SQLAlchemy 2.1: psycopg 3).
    """
    listed = "\n".join(text.read(Path(plan["path"]) / name) for name in plan["requirements"]["inputs"])
    found = re.findall(rf"(?im)(?:^|[\"'])\s*({'|'.join(_DRIVERS)})(?=[\s\[\]<>=!~;,\"']|$)", listed.lower())
    return next((f"postgresql+{_DRIVERS[name]}" for name in _DRIVERS if name in found), "postgresql")


def dependencies_digest(plan: dict, python: str, platform: str, gunicorn: Path) -> str:
    """Return a sha256 over all that decides which dependencies a release gets, in 64 hex digits."""
    total = hashlib.sha256(f"{REVISION}\0{python}\0{platform}\0{plan['requirements']['kind']}".encode())
    for file in [Path(plan["path"]) / name for name in plan["requirements"]["inputs"]] + [gunicorn]:
        total.update(b"\0" + file.read_bytes())
    return total.hexdigest()


def platform(architecture: str, distribution_version: str) -> str:
    """Return uv's name of a Debian machine's platform; AppError where there is none."""
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(architecture)
    glibc = _GLIBC.get(str(distribution_version).split(".", maxsplit=1)[0])
    if not machine or not glibc:
        raise AppError(f"no platform is known for Debian {distribution_version} on {architecture}.")
    return f"{machine}-manylinux_{glibc}"


class Builder:
    """uv, which resolves and builds an app's dependencies on a copy of what is shipped, and sees no more than that."""

    def __init__(self, uv: str, plan: dict, work: Path, site: Path, cache: Path) -> None:
        self.uv, self.original, self.cache = uv, plan["path"], cache.resolve()
        self.work, self.root, self.out = work.resolve(), work.resolve() / "src", work.resolve() / "out"
        # A build may write beside its source. Where we write afterwards it may not: there could be a link of its own.
        self.writes = [self.root, self.out, site.resolve()]
        for name in source.files(Path(plan["path"])):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(plan["path"]) / name, self.root / name, follow_symlinks=False)
        for directory in (self.root, self.out):
            directory.mkdir(exist_ok=True)

    def __call__(self, *arguments: str, cwd: Path) -> None:
        """Run it. Raises AppError with its own words where it fails."""
        inputs = [*self.root.glob("*.txt"), *self.root.glob("*.toml"), *self.root.glob("*.lock")]
        try:
            with sandbox.home(inputs, os.environ) as home:
                done = sandbox.run(
                    [self.uv, *arguments],
                    cwd,
                    [self.work],
                    [*self.writes, home],
                    os.environ | {"HOME": str(home)},
                    self.cache,
                )
        except FileNotFoundError as error:
            raise AppError("uv is not on this computer; run scripts/setup (or pip install uv).") from error
        except subprocess.TimeoutExpired as error:
            raise AppError(f"uv {' '.join(arguments[:2])} took longer than half an hour.") from error
        if done.returncode:
            output = re.sub(r"://[^/@\s]+@", "://***@", done.stderr.strip()).replace(str(self.root), self.original)
            what = f"the app's dependencies cannot be resolved (uv {' '.join(arguments[:2])})"
            raise AppError(f"{what}:\n{output[-3000:]}")


def _requirement_lines(plan: dict, work: Path) -> Path:
    """Return a requirements file without lines that mean the project itself, which is shipped as files."""
    file = Path(plan["path"]) / "requirements.txt"
    lines = text.read(file).splitlines()
    if not any(_LOCAL_PROJECT.match(line) for line in lines):
        return file
    kept = [line for line in lines if not _LOCAL_PROJECT.match(line)]
    absolute = [
        re.sub(r"^(\s*(?:-r|-c|--requirement|--constraint)[\s=]+)(?=[^/\s])", rf"\g<1>{plan['path']}/", each)
        for each in kept
    ]
    (work / "requirements.txt").write_text("\n".join(absolute) + "\n")
    return work / "requirements.txt"


def _lock(plan: dict, work: Path, uv: Builder, target: list[str], gunicorn: Path) -> list[Path]:
    """Return requirements files that name every distribution with its hashes."""
    root, kind, lock = Path(plan["path"]), plan["requirements"]["kind"], uv.out / "lock.txt"
    if kind == "uv.lock":
        uv(
            "export",
            "--quiet",
            "--frozen",
            "--no-default-groups",
            "--no-emit-project",
            "--no-header",
            "--format",
            "requirements-txt",
            "--project",
            str(root),
            "-o",
            str(lock),
            cwd=work,
        )
    else:
        given = _requirement_lines(plan, work) if kind == "requirements" else root / "pyproject.toml"
        if kind == "requirements" and "--hash=" in text.read(given):
            lock = given
        else:
            extra = [] if _names(given) & {"gunicorn"} else [str(_unhashed(gunicorn, work))]
            uv(
                "pip",
                "compile",
                "--quiet",
                "--generate-hashes",
                "--no-header",
                *target,
                str(given),
                *extra,
                "-o",
                str(lock),
                cwd=root,
            )
            if _names(lock) & {"gunicorn"}:
                return [lock]
    locked = _names(lock)
    if "gunicorn" in locked:
        return [lock]
    # The app brings no gunicorn of its own: ours, less what its lock already has.
    ours = re.split(r"(?m)^(?=[a-z0-9])", gunicorn.read_text())
    (work / "gunicorn.txt").write_text("".join(part for part in ours if normal(part.split("==")[0]) not in locked))
    return [lock, work / "gunicorn.txt"]


def _unhashed(gunicorn: Path, work: Path) -> Path:
    pinned = re.findall(r"(?m)^(gunicorn==\S+)", gunicorn.read_text())
    (work / "gunicorn.in").write_text("\n".join(pinned) + "\n")
    return work / "gunicorn.in"


def _names(file: Path) -> set[str]:
    return {normal(name) for name in _NAME.findall(file.read_text())}


def build_dependencies(plan: dict, python: str, on: str, uv: str, gunicorn: Path, archive: Path) -> dict[str, str]:
    """Write the archive of a virtual environment's content and return its distributions with their versions.

    What builds run sees neither the environment nor the files of who deploys: see sandbox.py. Raises AppError with uv's
    own words where a dependency cannot be had for the machine.
    """
    work = archive.with_name(archive.name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    site = work / "venv" / "lib" / f"python{python}" / "site-packages"
    site.mkdir(parents=True)
    try:
        target = ["--python-version", python, "--python-platform", on]
        builder = Builder(uv, plan, work, site, archive.parent.parent / "uv")
        plan = plan | {"path": str(builder.root)}
        locks = _lock(plan, builder.work, builder, target, gunicorn)
        for lock in locks:
            options = ["--quiet", "--require-hashes", "--link-mode", "copy", *target, "--target", str(site.resolve())]
            builder("pip", "install", *options, "-r", str(lock), cwd=builder.root)
        scripts = work / "venv" / "bin"
        if (site / "bin").is_symlink():
            raise AppError(
                f"a distribution brings {os.readlink(site / 'bin')} as its programs' directory.", "app_source"
            )
        if (site / "bin").is_dir():
            (site / "bin").rename(scripts)
        scripts.mkdir(exist_ok=True)
        for script in scripts.iterdir():
            _relocate(script)
        for name in ("python3", "python", f"python{python}"):
            (scripts / name).unlink(missing_ok=True)
            (scripts / name).symlink_to(f"/usr/bin/python{python}")
        (work / "venv" / "pyvenv.cfg").write_text(
            f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n"
        )
        (site / ".lock").unlink(missing_ok=True)
        found = {}
        for info in site.glob("*.dist-info/METADATA"):
            head = info.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
            fields = dict(line.split(": ", 1) for line in head.splitlines() if line.startswith(("Name: ", "Version: ")))
            found[normal(fields["Name"])] = fields["Version"]
        (work / "venv" / "distributions.json").write_text(json.dumps(found, sort_keys=True))
        names = sorted(
            str(file.relative_to(work)) for file in (work / "venv").rglob("*") if file.is_symlink() or file.is_file()
        )
        _pack(work, names, archive)
        return found
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _relocate(script: Path) -> None:
    """Let a console script start the Python beside it, wherever the release is unpacked."""
    if script.is_symlink() or not script.is_file():
        return
    content = script.read_bytes()
    head, _newline, rest = content.partition(b"\n")
    if head.startswith(b"#!") and b"python" in head:
        script.write_bytes(_SCRIPT_HEAD.encode() + rest)
    elif head == b"#!/bin/sh" and rest.startswith(b"'''exec'"):
        script.write_bytes(_SCRIPT_HEAD.encode() + rest.split(b"\n", 2)[2])


def build_source(plan: dict, archive: Path) -> None:
    """Write the archive of an app's files; AppError where they changed since the plan was made."""
    root = Path(plan["path"])
    names = source.files(root)
    if source.digest(root, names) != plan["source_digest"]:
        raise AppError(f"{root} changed while it was being deployed; run again.", "app_source")
    _pack(root, names, archive, prefix="src/")


def _pack(root: Path, names: list[str], archive: Path, prefix: str = "") -> None:
    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mode = 0o750 if entry.mode & 0o100 else 0o640
        return entry

    part = archive.with_name(archive.name + ".part")
    with (
        open(part, "wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, compresslevel=4, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in names:
            tar.add(root / name, arcname=prefix + name, recursive=False, filter=plain)
    part.rename(archive)


def sha256(file: Path) -> str:
    """Return the sha256 of a file in 64 hex digits."""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
