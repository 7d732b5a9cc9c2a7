"""This package as one program that systemd can run."""

from __future__ import annotations

import importlib
import importlib.util
import io
import pkgutil
import zipfile

_MAIN = "import sys\n\nfrom slipway_release.main import main\n\nsys.exit(main(sys.argv))\n"


def source(module: str) -> str:
    """Return the text of a module of this package, from a directory or from an archive alike."""
    full = f"{__package__}.{module}" if module else __package__
    return importlib.util.find_spec(full).loader.get_source(full)


def build() -> bytes:
    """Return the program: the same bytes for the same sources."""
    package = importlib.import_module(__package__)
    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        files = {"__main__.py": _MAIN, "slipway_release/__init__.py": source("")}
        files |= {f"slipway_release/{name}.py": source(name) for name in names}
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return b"#!/usr/bin/python3\n" + buffer.getvalue()
