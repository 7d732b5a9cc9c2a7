"""The list of requirements is written twice and locked once; all three agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_pyproject_and_requirements_name_the_same() -> None:
    lines = (ROOT / "requirements.in").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == listed


def test_the_lock_is_pinned_hashed_and_names_no_registry() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    packages = re.findall(r"^\S.*", re.sub(r"\\\n|^ *#.*$", "", lock, flags=re.M), re.M)
    assert all(re.match(r"[\w.-]+(\[\w+\])?==\S+ .*--hash=sha256:", line) for line in packages)
    locked = {line.split("==")[0].split("[")[0] for line in packages}
    listed = re.findall(r"^[\w-]+", (ROOT / "requirements.in").read_text(), re.M)
    assert {name.lower() for name in listed} <= locked
    assert "http" not in lock
    assert "index-url" not in lock
