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
from pathlib import Path, PurePosixPath

from ansible.module_utils.slipway_app import cache as cache_entries
from ansible.module_utils.slipway_app import worktree
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


# What the configuration of a work tree could have git run; and no other repository than the one that is meant.
_NO_PROGRAMS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
_ELSEWHERE = re.compile(r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|COMMON_DIR|NAMESPACE)")


def _git(*arguments: str, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not _ELSEWHERE.fullmatch(name)}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    try:
        done = subprocess.run(
            ["git", *_NO_PROGRAMS, *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=600,
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
            _add_submodules(source, mirror, commit, part, cache)
            part.rename(tree)
        for entry in (mirror, tree):
            cache_entries.used(entry)
    return tree, commit


def _add_submodules(source: str, mirror: Path, commit: str, tree: Path, cache: Path) -> None:
    """Put the files of a commit's submodules where they belong. Raises AppError, with the path, where it cannot."""
    for entry in filter(None, _git("ls-tree", "-r", "-z", commit, cwd=mirror).split("\0")):
        kind, _tab, path = entry.partition("\t")
        if not kind.startswith("160000 "):
            continue
        try:
            below, _commit = fetch(_submodule_address(tree, path, source), kind.split()[2], cache)
        except AppError as error:
            raise AppError(f"the submodule {path} cannot be had: {error.message}", "app_source") from error
        shutil.copytree(below, tree / path, symlinks=True, dirs_exist_ok=True)


def _submodule_address(tree: Path, path: str, source: str) -> str:
    """Return where a submodule comes from, as .gitmodules says. Raises AppError where it does not."""
    listed = _git("config", "--file", ".gitmodules", "--null", "--list", cwd=tree)
    settings = dict(entry.split("\n", 1) for entry in listed.split("\0") if "\n" in entry)
    name = next((key.removesuffix(".path") for key, to in settings.items() if key.endswith(".path") and to == path), "")
    if f"{name}.url" not in settings:
        raise AppError(".gitmodules does not say where it comes from.", "app_source")
    return _absolute(settings[f"{name}.url"], source)


def _absolute(url: str, source: str) -> str:
    """Return a submodule's address, which may be relative to its repository's; AppError for one on this computer."""
    if url.startswith(("./", "../")):
        head, separator, path = re.fullmatch(r"([a-z+.-]+://[^/]*|[^/@\s]+@[^:/\s]+|)(:|/|)(.*)", source, re.S).groups()
        joined = os.path.normpath(f"{path.rstrip('/')}/{url}")
        return f"{head}{separator}{joined}"
    is_local = url.startswith(("/", "file:"))
    if not (is_local or is_git_url(url)) or (is_local and not source.startswith(("/", "file:"))):
        raise AppError(f"a submodule's address, {url}, is a directory of this computer.", "app_source", _FORM)
    return url


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


def files(path: Path) -> list[str]:
    """Return the files of an app, relative and sorted: what git would commit, else all but NEVER.

    What git tracks below a directory that has become a link since is not among them: the link is.
    """
    names = _listed(path)
    links = _linked_directories(path, names)
    return [name for name in names if not _below(name, links)]


def _linked_directories(path: Path, names: list[str]) -> set[str]:
    """Return the directories above some files of an app that are links."""
    return {
        directory
        for directory in {str(parent) for name in names for parent in PurePosixPath(name).parents[:-1]}
        if (path / directory).is_symlink()
    }


def _below(name: str, directories: set[str]) -> str:
    """Return the first of some directories that a file is in, or ""."""
    parents = reversed(PurePosixPath(name).parents[:-1])
    return next((str(parent) for parent in parents if str(parent) in directories), "") if directories else ""


def _listed(path: Path) -> list[str]:
    """Return the names of an app's files, also of those that are reached through a link only."""
    listed = worktree.listing(path, _git)
    if listed is None:
        found = _walked(path)
    else:
        # What somebody has taken into git is the app's, whatever its name.
        environments = worktree.environments(path, listed.others)
        others = [name for name in listed.others if not _is_never(name) and not _below(name, environments)]
        found = [*listed.tracked, *others]
    return sorted(name for name in set(found) if os.path.lexists(path / name) and not _special(path / name))


def _walked(path: Path) -> list[str]:
    """Return the files of a directory that git knows nothing of, but for NEVER."""
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
    return [name for name in listed if not _is_never(name)]


def _is_never(name: str) -> bool:
    return any(_never(part) for part in name.split("/"))


def check_links(path: Path, app: str) -> None:
    """Raise AppError, with the name, for a link that leads out of the app, or to what is not shipped with it.

    ``app`` is the app's name: what outlives its releases may be linked to.
    """
    top, names = Path(os.path.realpath(path)), _listed(path)
    directories = _linked_directories(path, names)
    shipped = [name for name in names if not _below(name, directories)]
    known = set(shipped).union(*({*map(str, PurePosixPath(name).parents)} for name in shipped))
    for name in sorted({*directories, *(name for name in shipped if (path / name).is_symlink())}):
        to = os.readlink(path / name)
        if Path(os.path.normpath(to)).is_relative_to(f"/srv/{app}/shared"):
            continue
        real = Path(os.path.realpath(path / name))
        below = [each for each in names if each.startswith(f"{name}/")]
        also = f" (git tracks {below[0]} below it)" if below else ""
        if os.path.isabs(to) or not real.is_relative_to(top):
            raise AppError(
                f"{name} in {path} is a link to {to}, which leads out of the app{also}: on a machine it would be"
                " something else, or nothing.",
                "app_source",
                f"a relative link to a file of the app, or a link to what outlives releases, /srv/{app}/shared/...",
            )
        if real.exists() and str(real.relative_to(top)) not in known:
            raise AppError(
                f"{name} in {path} is a link to {to}, which is not shipped: git ignores it, or"
                " it is never part of a release.",
                "app_source",
                "a link to a file that is shipped too, or no link",
            )


def check_published(path: Path, names: list[str], directory: str) -> None:
    """Raise AppError, with the name, for a link below a static directory that cannot be published to browsers."""
    top = Path(os.path.realpath(path))
    for name in names:
        link = path / name
        if not link.is_symlink() or not PurePosixPath(name).is_relative_to(PurePosixPath(directory)):
            continue
        real = Path(os.path.realpath(link))
        if not real.is_relative_to(top) or not real.exists():
            what = "leads to nothing" if real.is_relative_to(top) else "leads out of the app"
            raise AppError(
                f"{name} in {path} is a link to {os.readlink(link)}, which {what}; the web server gets a copy of"
                f" {directory} when a release is made.",
                "app_static",
                "links below a static directory lead to files of the app",
            )


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
