"""Which files of a directory git would take: what it tracks, what it does not ignore, and repositories below it.

Nothing is left out in silence: where git cannot say, or a file is not what it stands for, the run stops with its name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.slipway_app.errors import AppError

_LFS_HEAD = b"version https://git-lfs.github.com/spec/"
_LFS_BYTES = 1024
_SUBMODULE = "160000"

Git = Callable[..., str]


class Listing(NamedTuple):
    """Names of files, relative to the directory: those that git tracks, and the others that it does not ignore."""

    tracked: list[str]
    others: list[str]


def listing(path: Path, git: Git) -> Listing | None:
    """Return what git says of a directory, repositories below it included; None where it is in no repository.

    Raises AppError where there is a repository that git cannot read, or one below that is not checked out.
    """
    repository = next((parent for parent in (path, *path.parents) if (parent / ".git").exists()), None)
    try:
        if git("rev-parse", "--is-inside-work-tree", cwd=path).strip() != "true":
            return None
        staged = git("ls-files", "-z", "--cached", "--stage", cwd=path)
        others = git("ls-files", "-z", "--others", "--exclude-standard", cwd=path)
    except AppError as error:
        if repository is None:
            return None
        raise AppError(
            f"git cannot read the repository in {repository}, so that nobody knows which files are the app's:"
            f" {error.message}",
            "app_source",
            "a repository that `git status` works in, for the user that deploys",
        ) from error
    found = Listing([], [])
    for entry in filter(None, staged.split("\0")):
        mode, _hash, _rest, name = re.fullmatch(r"(\d+) (\S+) (\d)\t(.*)", entry, re.S).groups()
        _take(path, name, mode == _SUBMODULE, found.tracked, found, git)
    for name in filter(None, others.split("\0")):
        # With a slash at the end it is a repository of its own, which git does not look into.
        _take(path, name.rstrip("/"), name.endswith("/"), found.others, found, git)
    return found


def _take(path: Path, name: str, is_repository: bool, names: list[str], found: Listing, git: Git) -> None:
    """Add a name, or all that is in the repository of that name."""
    if not is_repository:
        names.append(_readable(path, name))
        return
    directory = path / name
    if not directory.is_dir() or directory.is_symlink():
        return  # removed, and not committed yet
    if not (directory / ".git").exists():
        raise AppError(
            f"{name} in {path} is a submodule that is not checked out, so that its files would be missing.",
            "app_source",
            "a work tree after `git submodule update --init --recursive`",
        )
    below = listing(directory, git) or Listing([], [])
    found.tracked.extend(f"{name}/{each}" for each in below.tracked)
    found.others.extend(f"{name}/{each}" for each in below.others)


def _readable(path: Path, name: str) -> str:
    """Return a name that can be shipped. Raises AppError for one that is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode("utf-8", "surrogateescape")
        raise AppError(
            f"the name {shown!r} in {path} is not UTF-8, and cannot be shipped.", "app_source", "names in UTF-8"
        ) from error
    return name


def environments(path: Path, names: list[str]) -> set[str]:
    """Return the directories of some files that are virtual environments, which have a pyvenv.cfg."""
    return {os.path.dirname(name) for name in names if os.path.basename(name) == "pyvenv.cfg" and "/" in name}


def check_lfs(path: Path, names: list[str]) -> None:
    """Raise AppError, with the name, for a file that only points to its content in Git LFS."""
    for name in names:
        file = path / name
        status = file.lstat()
        if file.is_symlink() or status.st_size > _LFS_BYTES:
            continue
        with open(file, "rb") as handle:
            if handle.read(len(_LFS_HEAD)) == _LFS_HEAD:
                raise AppError(
                    f"{name} in {path} is a pointer of Git LFS, and not the file itself.",
                    "app_source",
                    "a work tree after `git lfs pull`, with git-lfs installed on this computer",
                )
