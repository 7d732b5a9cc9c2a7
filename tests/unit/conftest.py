"""Make the code of the roles importable as Ansible imports it on a machine."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import ansible.module_utils
import pytest

ROOT = Path(__file__).parents[2]
ansible.module_utils.__path__.append(str(ROOT / "roles/app/module_utils"))


def load(path: str) -> ModuleType:
    """Return a file of the repository as a module, whatever its name ends with."""
    loader = SourceFileLoader(Path(path).stem.replace("-", "_"), str(ROOT / path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def envfile() -> Callable[[dict], str]:
    """The filter that writes an environment file."""
    return load("roles/app/filter_plugins/app_envfile.py").app_envfile


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run git in a directory, as nobody in particular and without anybody's settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")

    def run(directory: Path, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=directory, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Lay out an app's files: tree({"app.py": "app = 1"}) returns their directory."""

    def lay_out(files: dict[str, str | bytes], name: str = "app") -> Path:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        for path, content in files.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return directory

    return lay_out
