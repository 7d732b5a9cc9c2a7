"""File trees that an app or its source has a say in, handled by root without following a link out of them.

No function here opens a path by more than one name at a time: each directory is opened below the one before it, with
O_NOFOLLOW, so that nothing that is replaced meanwhile leads elsewhere (openat(2); openat2(2) has the same as
RESOLVE_NO_SYMLINKS, which Python does not offer).
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# Not O_RDONLY alone: a pipe would hold whoever opens it until somebody writes.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class OutsideError(Exception):
    """A link leads out of the tree that it is in; the text names the link and its target."""


@contextmanager
def opened(path: str | Path, flags: int, below: int | None = None, mode: int = 0o600) -> Iterator[int]:
    """Open a path, relative to the directory ``below`` where one is given, for as long as the block runs."""
    handle = os.open(path, flags, mode, dir_fd=below)
    try:
        yield handle
    finally:
        os.close(handle)


def walk(top: Path) -> Iterator[tuple[PurePosixPath, int, str, os.stat_result]]:
    """Yield all that is below a directory: its path from there, its directory's descriptor, its name and its status.

    A directory comes before what is in it. Links are yielded and never followed, also not those that take a
    directory's place meanwhile. The descriptor is open until the next one is asked for.
    """
    with opened(top, _DIRECTORY) as handle:
        yield from _walk(handle, PurePosixPath())


def _walk(directory: int, where: PurePosixPath) -> Iterator[tuple[PurePosixPath, int, str, os.stat_result]]:
    for name in sorted(os.listdir(directory)):
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield where / name, directory, name, status
        if stat.S_ISDIR(status.st_mode):
            with suppress(NotADirectoryError, FileNotFoundError), opened(name, _DIRECTORY, directory) as below:
                yield from _walk(below, where / name)


def give(top: Path, group: int) -> None:
    """Give a tree to root and a group: the app may read and run it, nobody else may look."""
    with opened(top, _DIRECTORY) as handle:
        os.fchown(handle, 0, group)
        os.fchmod(handle, 0o750)
    for _path, directory, name, status in walk(top):
        if status.st_uid or status.st_gid != group:
            os.chown(name, 0, group, dir_fd=directory, follow_symlinks=False)
        mode = 0o750 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o100 else 0o640
        if not stat.S_ISLNK(status.st_mode) and stat.S_IMODE(status.st_mode) != mode:
            with opened(name, _FILE, directory) as handle:
                os.fchmod(handle, mode)


def leaves(link: Path, top: Path) -> bool:
    """Say whether a link leads out of a tree; one that leads nowhere inside of it does not."""
    return not Path(os.path.realpath(link)).is_relative_to(os.path.realpath(top))


def publish(source: Path, below: str, target: Path, ignored: Callable[[str], bool]) -> None:
    """Copy the files of a directory of a source to where everybody may read them.

    ``below`` is the directory's path in ``source``, ``ignored`` tells of a name whether it stays behind. Links are
    replaced by what they lead to, which must be in ``source``. Raises OutsideError where it is not, and OSError where a
    link leads nowhere, or to a directory that it is in.
    """
    top = Path(os.path.realpath(source))
    start = _resolved(top / below, top)
    _publish(top, start, target, ignored, (start,))


def _resolved(path: Path, top: Path) -> Path:
    """Return what a path is when all links of it are followed."""
    real = Path(os.path.realpath(path, strict=True))
    if not real.is_relative_to(top):
        raise OutsideError(f"{path.relative_to(top)} is a link that leads out of the app's source, to {real}")
    return real


def _publish(
    top: Path, directory: Path, target: Path, ignored: Callable[[str], bool], parents: tuple[Path, ...]
) -> None:
    target.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in sorted(os.listdir(directory)):
        if ignored(name):
            continue
        path = directory / name
        real = _resolved(path, top) if path.is_symlink() else path
        if any(parent.is_relative_to(real) for parent in parents):
            raise OSError(f"{path.relative_to(top)} is a link to a directory that it is in")
        if real.is_dir():
            _publish(top, real, target / name, ignored, (*parents, real))
        else:
            copy_file(top, real.relative_to(top), target / name)


def copy_file(top: Path, below: PurePosixPath | Path, target: Path) -> None:
    """Copy a regular file of a tree, no part of whose path may be a link. Raises OSError, also for what is no file."""
    with opened_below(top, PurePosixPath(below)) as handle:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{below} is neither a file nor a directory")
        status = os.fstat(handle)
        with open(os.dup(handle), "rb") as original, open(target, "wb") as copy:
            shutil.copyfileobj(original, copy, 1024 * 1024)
    # What browsers have kept of it goes by its time.
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextmanager
def opened_below(top: Path, below: PurePosixPath) -> Iterator[int]:
    """Open a file of a tree for reading, no part of whose path may be a link. Raises OSError."""
    handle = os.open(top, _DIRECTORY)
    try:
        for part in below.parts[:-1]:
            deeper = os.open(part, _DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = deeper
        with opened(below.name, _FILE, handle) as file:
            yield file
    finally:
        os.close(handle)


def pack(top: Path, archive: tarfile.TarFile, name: str) -> list[str]:
    """Put a tree into an archive under a name, links as links; return the paths of what cannot be in one (sockets)."""
    left_out = []
    with opened(top, _DIRECTORY) as handle:
        archive.addfile(_described(os.fstat(handle), name))
    for path, directory, entry, status in walk(top):
        member = _described(status, f"{name}/{path}")
        if stat.S_ISLNK(status.st_mode):
            member.linkname = os.readlink(entry, dir_fd=directory)
        if not stat.S_ISREG(status.st_mode):
            archive.addfile(member) if member.type else left_out.append(str(path))
            continue
        with opened(entry, _FILE, directory) as handle:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                left_out.append(str(path))
                continue
            member.size = found.st_size
            with open(os.dup(handle), "rb") as content:
                archive.addfile(member, content)
    return left_out


def _described(status: os.stat_result, name: str) -> tarfile.TarInfo:
    """Return an archive's member for a status; its type is empty for what no archive of files can hold."""
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    member.uid, member.gid = status.st_uid, status.st_gid
    kinds = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
    member.type = kinds.get(stat.S_IFMT(status.st_mode), b"")
    return member
