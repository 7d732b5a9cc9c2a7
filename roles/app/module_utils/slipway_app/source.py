"""Where an app's files come from: a directory, or a ref of a git repository, both read on the control node."""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils.slipway_app.errors import AppError

# Never part of a release: history, caches, virtual environments, and a developer's own settings.
NEVER = (
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.pyc",
    ".venv",
    "node_modules",
    ".tox",
    ".nox",
    ".env",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".DS_Store",
    "*.egg-info",
)
_URL = re.compile(r"^([a-z][a-z0-9+.-]*://|[^/@\s]+@[^/:\s]+:)")
_FORM = "a directory on this computer, or a git URL (https://..., ssh://..., git@host:path, file:///...)"


def is_git_url(source: str) -> bool:
    """Say whether app_source names a git repository rather than a directory."""
    return bool(_URL.match(source))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file of the cache, so that two runs do not build the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _git(*arguments: str, cwd: Path | None = None) -> str:
    environment = dict(os.environ, GIT_TERMINAL_PROMPT="0", LC_ALL="C.UTF-8")
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
        )
    except FileNotFoundError as error:
        raise AppError("git is not installed on this computer.", "app_source") from error
    except subprocess.TimeoutExpired as error:
        raise AppError(f"git {arguments[0]} took longer than 10 minutes.", "app_source") from error
    if done.returncode:
        raise AppError(re.sub(r"://[^/@\s]+@", "://***@", done.stderr.strip() or "git failed"))
    return done.stdout


def fetch(source: str, version: str, cache: Path) -> tuple[Path, str]:
    """Return the directory of a git ref's files and its commit (40 hex digits).

    The repository is mirrored in the cache and the files are exported once per commit. Raises AppError,
    naming app_source or app_version, where the repository or the ref cannot be reached.
    """
    key = hashlib.sha256(source.encode()).hexdigest()[:16]
    mirror = cache / "git" / key
    shown = re.sub(r"://[^/@\s]+@", "://***@", source)
    with locked(cache / "git" / f"{key}.lock"):
        try:
            if (mirror / "HEAD").exists():
                _git("fetch", "--quiet", "--prune", "--tags", "--force", source, "+refs/*:refs/*", cwd=mirror)
            else:
                shutil.rmtree(mirror, ignore_errors=True)
                _git("clone", "--quiet", "--mirror", source, str(mirror))
        except AppError as error:
            raise AppError(f"the repository {shown} cannot be read: {error.message}", "app_source", _FORM) from error
        try:
            commit = _git("rev-parse", "--verify", "--quiet", f"{version or 'HEAD'}^{{commit}}", cwd=mirror).strip()
        except AppError as error:
            raise AppError(
                f"the repository {shown} has no ref {version or 'HEAD'!r}.", "app_version", "a branch, tag or commit"
            ) from error
        tree = cache / "src" / commit
        if not tree.is_dir():
            part = tree.with_name(commit + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            _git(f"--work-tree={part}", "checkout", "--quiet", "--force", commit, "--", ".", cwd=mirror)
            part.rename(tree)
    return tree, commit


def locate(source: str, version: str, cache: Path, base: Path) -> tuple[Path, str]:
    """Return the directory that app_source means, and its commit ("" where it is no git ref).

    A relative directory is taken from ``base``. Raises AppError where there is no such directory.
    """
    if not source:
        raise AppError("it is not set, so there is nothing to deploy.", "app_source", _FORM)
    if is_git_url(source):
        return fetch(source, version, cache)
    path = (base / Path(source).expanduser()).resolve()
    if not path.is_dir():
        raise AppError(f"there is no directory {path}.", "app_source", _FORM)
    if version:
        if not (path / ".git").exists() and not (path / "HEAD").exists():
            raise AppError(f"it is set to {version!r}, but {path} is no git repository.", "app_version", "unset")
        return fetch(str(path), version, cache)
    return path, ""


def _git_listing(path: Path) -> list[str] | None:
    """Return what git would take of a work tree, or None where git has no say about the directory."""
    try:
        if _git("rev-parse", "--is-inside-work-tree", cwd=path).strip() != "true":
            return None
        listing = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=path)
    except AppError:
        return None
    return [name for name in listing.split("\0") if name] or None


def files(path: Path) -> list[str]:
    """Return the files of an app, relative and sorted: what git would commit, else all but NEVER."""
    listed = _git_listing(path)
    if listed is None:
        listed = []
        for folder, folders, names in os.walk(path):
            # A virtual environment may have any name; its pyvenv.cfg gives it away.
            folders[:] = [
                name
                for name in folders
                if not _never(name) and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
            ]
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            listed += [os.path.relpath(os.path.join(folder, name), path) for name in names + links]
    kept = {name for name in listed if not any(_never(part) for part in name.split("/"))}
    return sorted(name for name in kept if os.path.lexists(path / name) and not _special(path / name))


def _never(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in NEVER)


def _special(path: Path) -> bool:
    """Submodules' directories, sockets and pipes are no files of an app; links to directories are."""
    return not path.is_symlink() and not path.is_file()


def digest(path: Path, names: list[str]) -> str:
    """Return a sha256 over names, executable bits, link targets and contents, in 64 hex digits."""
    total = hashlib.sha256()
    for name in names:
        file = path / name
        if file.is_symlink():
            kind, content = "link", os.readlink(file).encode()
        else:
            kind = "program" if os.access(file, os.X_OK) else "file"
            content = file.read_bytes()
        total.update(f"{name}\0{kind}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        total.update(content)
    return total.hexdigest()
