"""The control node's cache of mirrors, exports and archives: what nobody has used for long goes."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

_DAY_SECONDS = 86400
_KINDS = ("git", "src", "bundles")


def used(path: Path) -> None:
    """Note that an entry of the cache was used now."""
    with suppress(OSError):
        os.utime(path)


def prune(cache: Path, days: int) -> list[Path]:
    """Remove what was not used for some days, and return it; once a day is enough, more often it does nothing.

    0 days keep all. What another run makes at this moment is new, and so stays.
    """
    stamp, now = cache / "pruned", time.time()
    if days <= 0 or not cache.is_dir() or (stamp.exists() and stamp.stat().st_mtime > now - _DAY_SECONDS):
        return []
    stamp.touch()
    gone = []
    for path in (path for kind in _KINDS for path in (cache / kind).glob("*")):
        with suppress(FileNotFoundError):
            if path.name.endswith("lock") or path.lstat().st_mtime > now - days * _DAY_SECONDS:
                continue
            gone.append(path)
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return gone
