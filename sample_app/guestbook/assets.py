"""Static files with a hash of their content in the name, so that they can be cached for good.

The sources are in assets_src/; ``flask assets`` copies them to static/ and writes the manifest
from plain to hashed names. Both are under version control: deploying needs no build step.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from flask import Flask, current_app, url_for

SOURCE = Path(__file__).parent / "assets_src"
STATIC = Path(__file__).parent / "static"
MANIFEST = "manifest.json"


def hashed_files(source: Path = SOURCE) -> dict[str, bytes]:
    """Return what static/ has to contain, manifest included: file name to content.

    Raises:
        OSError: a source cannot be read.
    """
    files: dict[str, bytes] = {}
    manifest: dict[str, str] = {}
    for path in sorted(source.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:8]
        manifest[path.name] = f"{path.stem}.{digest}{path.suffix}"
        files[manifest[path.name]] = content
    files[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def build(source: Path = SOURCE, static: Path = STATIC) -> list[str]:
    """Make ``static`` contain exactly the hashed files of ``source``.

    Returns:
        The names of the files that are there now.

    Raises:
        OSError: a file cannot be read, written or removed.
    """
    files = hashed_files(source)
    static.mkdir(exist_ok=True)
    for path in static.iterdir():
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        (static / name).write_bytes(content)
    return list(files)


def hashed_static(name: str) -> str:
    """Return the URL of a static file by its plain name, such as ``style.css``.

    Raises:
        KeyError: the manifest does not know the file; run ``flask assets``.
    """
    manifest: dict[str, str] = current_app.extensions["assets"]
    return url_for("static", filename=manifest[name])


def init_app(app: Flask) -> None:
    """Read the manifest and give templates ``hashed_static()``.

    A missing manifest is an empty one here, because ``flask assets`` itself needs an app.

    Raises:
        json.JSONDecodeError: the manifest is broken.
    """
    manifest = STATIC / MANIFEST
    app.extensions["assets"] = json.loads(manifest.read_text()) if manifest.exists() else {}
    app.add_template_global(hashed_static)
