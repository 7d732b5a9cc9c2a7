"""The filter that shows an app's history as a table for people."""

from __future__ import annotations

import json

_HEAD = ("", "version", "when", "what", "result", "who", "ref", "id", "changed")
_WHY_WIDTH = 72


def _words(value: object) -> str:
    """Return a value of the history in one line, without what a terminal would take for a command."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _entries(text: str) -> list[dict]:
    """Return the lines that are whole: a power cut may have torn the last one."""
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    # What came of a migration stands in a later line of the same release, unless its process was killed.
    return [
        entry
        for number, entry in enumerate(entries)
        if entry.get("result") != "migrating" or entry.get("id") not in {one.get("id") for one in entries[number + 1 :]}
    ]


def _row(entry: dict, live: bool) -> tuple[str, ...]:
    """Return an entry as the cells of its line; the reason of a failure stands where others say what changed."""
    said = [_words(entry.get("changes"))]
    if entry.get("result") != "live":
        why = _words(entry.get("why"))
        said.append(why if len(why) <= _WHY_WIDTH else why[: _WHY_WIDTH - 1] + "…")
    named = [_words(entry.get(name)) or "-" for name in ("version", "when", "what", "result", "who", "ref", "id")]
    return ("*" if live else " ", *named, "; ".join(filter(None, said)) or "-")


def app_history(text: str, live: str = "", limit: int = 20) -> str:
    """Return the newest ``limit`` lines of a history.jsonl as a table, newest first.

    ``live`` is the id of the live release: the line that took it live last has a star.
    """
    entries = _entries(text)[::-1]
    star = next((n for n, one in enumerate(entries) if one.get("id") == live and one.get("result") == "live"), None)
    if not entries:
        return f"No release yet; {live} is live, and the history is gone." if live else "No release yet."
    rows = [_HEAD, *(_row(entry, number == star) for number, entry in enumerate(entries[:limit]))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(entries) > limit:
        lines.append(f"   ({len(entries) - limit} older; -e limit={len(entries)} shows all)")
    if not live:
        lines.append("   No release is live.")
    elif star is None or star >= limit:
        older = "not in the history" if star is None else "further down"
        lines.append(f"   * {live} is live ({older}).")
    return "\n".join(lines)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict:
        """Return the filters of this file."""
        return {"app_history": app_history}
