"""The filter that writes an app's environment file."""

from __future__ import annotations

import re

from ansible.errors import AnsibleFilterError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPE = re.compile(r'(["\\$`])')
_ESCAPED = r"\\\1"


def app_envfile(settings: dict) -> str:
    """Return the text of an environment file, sorted by name, that systemd 252-257 and sh both read.

    Booleans become ``true`` and ``false``, other values what ``str`` makes of them. A value stands in double
    quotes with a backslash before ``"``, ``\\``, ``$`` and the backtick: of the encodings tried, the only one
    that brings every byte through. Raises AnsibleFilterError on a name that no shell has, on a NUL byte and on
    a list or a dict; the message names the setting, never its value.
    """
    lines = []
    for name in sorted(settings):
        value = settings[name]
        if not _NAME.fullmatch(name):
            raise AnsibleFilterError(
                f"app_environment, app_secrets: {name!r} is no name of a setting (letters, digits and _)."
            )
        if value is None or isinstance(value, (list, dict, tuple)):
            raise AnsibleFilterError(
                f"{name} in app_environment or app_secrets must be a string, a number or a boolean."
            )
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if "\0" in text:
            raise AnsibleFilterError(
                f"{name} in app_environment or app_secrets has a NUL byte, which no environment can hold."
            )
        lines.append(f'{name}="{_ESCAPE.sub(_ESCAPED, text)}"\n')
    return "".join(lines)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict:
        """Return the filters of this file."""
        return {"app_envfile": app_envfile}
