"""The rules for connections of all apps of a machine as the one file that PostgreSQL 15 can read."""

from __future__ import annotations

import re

BEGIN, END = "# BEGIN slipway", "# END slipway"
FRAGMENT = re.compile(r"[0-9]{2}-[a-z0-9_-]+\.conf$")


def postgres_fragments(printed: list[str]) -> dict[str, str]:
    """Fragments by their file names, of what grep printed of their directory: a path, a colon and a line each.

    What is not called like a fragment is none.
    """
    fragments: dict[str, str] = {}
    for line in printed:
        path, _, text = line.partition(":")
        name = path.rpartition("/")[2]
        if FRAGMENT.match(name):
            fragments[name] = fragments.get(name, "") + text + "\n"
    return fragments


def postgres_rules(fragments: dict[str, str], others: str | None = None) -> str:
    """The fragments put together in the order of their names, as PostgreSQL goes through them.

    Where there are rules of others, the fragments are a block in front of them.
    """
    ours = "".join(fragments[name] for name in sorted(fragments))
    if others is None:
        return ours
    return (f"{BEGIN}\n{ours}{END}\n" if ours else "") + others


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self) -> dict:
        return {"postgres_fragments": postgres_fragments, "postgres_rules": postgres_rules}
