"""Reading the files of an app that say how it is run."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.slipway_app.errors import AppError


def read(file: Path) -> str:
    """Return a file's text, whatever the control node's locale and without a byte order mark.

    Raises AppError where it is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise AppError(f"{file.name} is not text in UTF-8 (byte {error.start + 1}).", "app_source") from error
