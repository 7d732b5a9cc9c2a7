"""Whether a configuration file is the one that its package brought."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

STATUS = Path("/var/lib/dpkg/status")


def pristine_digest(path: str) -> str:
    """The digest (MD5, as dpkg has it) that the file had in its package; empty where no package brought it."""
    try:
        text = STATUS.read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^ {re.escape(path)} ([0-9a-f]{{32}})(?: obsolete)?$", text, re.MULTILINE)
    return found[1] if found else ""


def is_pristine(path: str) -> bool:
    """Whether the file at the path, which may be a link, is as its package brought it."""
    real = Path(path).resolve()
    if not real.is_file():
        return False
    digest = hashlib.md5(real.read_bytes(), usedforsecurity=False).hexdigest()
    return digest == pristine_digest(str(real))
