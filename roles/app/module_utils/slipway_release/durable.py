"""Writes that are on the disk before anything relies on them: what a power cut may undo, and what not.

A rename is atomic for whoever looks at a running machine, and promises nothing about the disk: ext4 and xfs may write
the new name before the content that it names (see rename(2) and fsync(2), section Notes).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def sync_tree(path: Path) -> None:
    """Write all that the file system of ``path`` still holds in memory to its disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        # Python has no syncfs(2); one fsync(2) for each file of a tree takes a hundred times as long.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed", str(path))
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Write one file, or the names in one directory, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish_tree(part: Path, whole: Path) -> None:
    """Give a finished directory its name: a power cut leaves all of its content, or the other name. Raises OSError."""
    sync_tree(part)
    part.rename(whole)
    sync(whole.parent)


def publish_file(part: Path, whole: Path) -> None:
    """Give a finished file its name: a power cut leaves the old content or all of the new. Raises OSError."""
    sync(part)
    part.rename(whole)
    sync(whole.parent)


def publish_link(part: Path, whole: Path) -> None:
    """Give a symbolic link its name, and return when a power cut does not undo that any more. Raises OSError."""
    part.rename(whole)
    sync(whole.parent)


def remove(path: Path) -> None:
    """Remove a file, and return when a power cut does not bring it back; nothing where there is none."""
    if path.is_symlink() or path.exists():
        path.unlink()
        sync(path.parent)
