"""The template units of an app's processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import host
from .host import systemctl

if TYPE_CHECKING:
    from .engine import Operation


def web_environment(app: str) -> list[str]:
    """Return the lines of the web unit that say how gunicorn runs where the app says nothing."""
    text = (host.UNITS / f"{app}-web@.service").read_text()
    return [line for line in text.splitlines() if line.startswith("Environment=") and "GUNICORN" in line]


def write(operation: Operation, process: str, instance: str, kind: str, *more: str) -> str:
    """Write the template unit of a process, as the role gunicorn describes the app's units; return its name."""
    text = (operation.root / "units" / "process@.service").read_text()
    text = text.replace("@PROCESS@", process).replace("@TYPE@", kind)
    text = text.replace("@RESTART@", "no" if kind == "oneshot" else "always")
    text = text.replace("[Service]\n", "\n".join(["[Service]", *more, ""]))
    file = host.UNITS / f"{operation.app}-{instance}@.service"
    if not file.exists() or file.read_text() != text:
        host.write(file, text, 0o644)
        systemctl("daemon-reload")
    return f"{operation.app}-{instance}@{operation.release.name}.service"
