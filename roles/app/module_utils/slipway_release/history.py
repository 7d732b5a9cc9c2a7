"""The history of an app on a machine: /srv/APP/history.jsonl, a line for each release that was tried."""

from __future__ import annotations

import json
import os
from pathlib import Path

from . import durable


def read(file: Path) -> list[dict]:
    """Return the lines that are whole, the oldest first."""
    found = []
    try:
        text = file.read_text()
    except OSError:
        return []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("id"):
            found.append(entry)
    return found


def append(file: Path, entry: dict) -> None:
    """Add a line; it is on the disk when this returns."""
    with open(file, "a+b") as handle:
        # A line that a power cut tore must not take this one with it.
        if handle.tell() and os.pread(handle.fileno(), 1, handle.tell() - 1) != b"\n":
            handle.write(b"\n")
        handle.write(json.dumps(entry, sort_keys=True).encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    # Where it is the first line, the file's name too is on the disk.
    durable.sync(file.parent)


def went_live(lines: list[dict]) -> list[dict]:
    """Return the lines of what went live."""
    return [line for line in lines if line.get("result") == "live"]


def last_version(lines: list[dict]) -> int:
    """Return the highest version number; 0 where there is none."""
    numbers = [str(line.get("version", ""))[1:] for line in lines]
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def version_of(lines: list[dict], name: str) -> str:
    """Return the version under which a release was live last, or ""."""
    return next(
        (line["version"] for line in reversed(went_live(lines)) if line["id"] == name and "version" in line), ""
    )


def predecessor(lines: list[dict], live: str) -> str:
    """Return the release that served before the one that is live now, or ""."""
    gone = went_live(lines)
    last = max((index for index, line in enumerate(gone) if line["id"] == live), default=len(gone))
    version = gone[last].get("version") if last < len(gone) else None
    return next((line["id"] for line in reversed(gone[:last]) if line.get("version") != version), "")


def named(lines: list[dict], asked: str) -> str:
    """Return the release that somebody means by "v7" or by its name, or ""."""
    return next((line["id"] for line in reversed(went_live(lines)) if asked in (line.get("version"), line["id"])), "")


def kept(lines: list[dict], live: str, number: int) -> list[str]:
    """Return the releases that stay on the machine, the newest first: the last one of each of the last versions."""
    newest: dict[str, str] = {version_of(lines, live) or "live": live}
    for line in reversed(went_live(lines)):
        newest.setdefault(line.get("version", line["id"]), line["id"])
    return list(dict.fromkeys(newest.values()))[:number]


def contracting_since(lines: list[dict], target: str) -> list[str]:
    """Return the contracting or table-locking steps that were taken after a release was live last."""
    # A deploy that failed later on has migrated all the same, and so may have one that was killed while it migrated.
    lived = [index for index, line in enumerate(lines) if line["id"] == target and line.get("result") == "live"]
    last = max(lived, default=-1)
    return list(dict.fromkeys(step for line in lines[last + 1 :] for step in line.get("contracting", [])))
