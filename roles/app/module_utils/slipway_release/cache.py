"""The cache of unpacked dependencies: an entry is used only where it is what was unpacked.

A power cut can leave files without their content behind names that are there (see durable). Who finds such an entry
treats it as missing, so that it is unpacked anew from the archive.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from . import trees

_SEAL = "sizes.json"


def seal(entry: Path) -> None:
    """Write down the size in bytes of each file of a finished entry."""
    (entry / _SEAL).write_text(json.dumps(_sizes(entry)))


def is_whole(entry: Path) -> bool:
    """Say whether an entry is there with all of its files, each of the size that it had when it was unpacked."""
    try:
        expected = json.loads((entry / _SEAL).read_text())
        return expected == _sizes(entry)
    except (OSError, ValueError):
        return False


def _sizes(entry: Path) -> dict[str, int]:
    """Return the size of each file by its path."""
    return {
        os.fspath(path): status.st_size
        for path, _directory, name, status in trees.walk(entry)
        if stat.S_ISREG(status.st_mode) and name != _SEAL
    }
