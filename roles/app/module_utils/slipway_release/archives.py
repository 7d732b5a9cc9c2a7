"""Unpacking an archive that came from elsewhere: it may write below its directory, and nowhere else.

What is refused is what Python's own filter "data" refuses (PEP 706), which Debian 12's Python lacks, and what it lets
through: members below a link that the archive itself brings, and members that take another one's place.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from . import trees


class RefusedError(Exception):
    """An archive has a member that has no business in it; the text names the member."""


def extract(archive: tarfile.TarFile, target: Path, allowed: Callable[[str, str], bool]) -> None:
    """Unpack an archive whose members are all in one directory, named as ``target`` is, to where nobody else writes.

    ``allowed`` tells of a link, by its path below ``target`` and what it leads to, whether it may lead out of there all
    the same. Raises RefusedError for a member that would write elsewhere, or is something else than a file, a directory
    or a link; OSError and tarfile.TarError where the archive is not whole or the disk is full.
    """
    files: set[PurePosixPath] = set()
    links: dict[PurePosixPath, str] = {}
    directories: set[PurePosixPath] = set()
    for member in archive:
        path = _path(member.name, target.name, member.isdir())
        over = next((parent for parent in path.parents if parent in links or parent in files), None)
        if over is not None:
            raise RefusedError(f"{member.name} is below {over}, which is {_what(over, links)}")
        if path in files or path in links:
            raise RefusedError(f"{member.name} is in it twice")
        if path in directories and not member.isdir():
            raise RefusedError(f"{member.name} takes the place of a directory")
        directories.update(path.parents)
        if member.issym():
            links[path] = member.linkname
        elif member.islnk():
            if _path(member.linkname, target.name) not in files:
                raise RefusedError(f"{member.name} is a hard link to {member.linkname}, which is not in it")
            files.add(path)
        elif member.isreg():
            files.add(path)
        elif member.isdir():
            directories.add(path)
        else:
            raise RefusedError(f"{member.name} is neither a file, a directory nor a link")
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        archive.extract(member, target.parent, set_attrs=not member.issym(), numeric_owner=True, **_FILTER)
    # All are there only now: whether a link leads out may depend on the others.
    for path, to in links.items():
        below = path.relative_to(target.name)
        if not allowed(str(below), to) and (os.path.isabs(to) or trees.leaves(target / below, target)):
            raise RefusedError(f"{path} is a link that leads out of it, to {to}")


# Where Python knows filters, it warns unless one is named. Ours has looked at the member already.
_FILTER: dict[str, str] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}


def _path(name: str, top: str, is_directory: bool = False) -> PurePosixPath:
    """Return the path that a member's name stands for. RefusedError where that is not below the archive's directory."""
    path = PurePosixPath(name)
    if "\0" in name or ".." in path.parts or path.parts[:1] != (top,) or (len(path.parts) == 1 and not is_directory):
        raise RefusedError(f"{name!r} is not below {top}/")
    return path


def _what(path: PurePosixPath, links: dict[PurePosixPath, str]) -> str:
    return f"a link to {links[path]}" if path in links else "a file"
