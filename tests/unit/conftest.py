"""Make the code of the roles importable as Ansible imports it on a machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import ansible.module_utils
import pytest

ROOT = Path(__file__).parents[2]
for directory in ("roles/app/module_utils", "plugins/module_utils"):
    ansible.module_utils.__path__.append(str(ROOT / directory))

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator  # noqa: E402
from ansible.module_utils.slipway_light.machine import Module  # noqa: E402 - from the paths above


def load(path: str) -> ModuleType:
    """Return a file of the repository as a module, whatever its name ends with."""
    loader = SourceFileLoader(Path(path).stem.replace("-", "_"), str(ROOT / path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Failed(Exception):
    """What a module ended with."""


class FakeModule:
    """Instead of a module's Module: it runs nothing, and remembers what it was asked to run."""

    def __init__(self) -> None:
        self.check_mode = False
        self.commands: list[list[str]] = []
        self.status: dict[str, int] = {}  # by the first word of a command; 0 where nothing is said
        self.printed: dict[str, str] = {}  # the same
        self.unknown: set[str] = set()  # programs that are not there

    def run_command(self, command: list[str], **_: object) -> tuple[int, str, str]:
        """Remember it, and answer what the test has laid down."""
        self.commands.append(command)
        if command[0] in self.unknown:
            raise FileNotFoundError(command[0])
        status = self.status.get(command[0], 0)
        return status, self.printed.get(command[0], ""), "it went wrong" if status else ""

    def fail_json(self, msg: str, **_: object) -> None:
        """End the module."""
        raise Failed(msg)


@pytest.fixture
def module() -> FakeModule:
    """A module that runs nothing."""
    return FakeModule()


@pytest.fixture
def settle(capsys: pytest.CaptureFixture) -> Callable[..., dict]:
    """Runs the module settle and returns what it says."""
    program = load("plugins/modules/settle.py")

    def run(check: bool = False, **wanted: list) -> dict:
        judged = ArgumentSpecValidator(program.ARGUMENTS).validate(wanted)
        assert judged.error_messages == []
        with pytest.raises(SystemExit):
            program.run(Module("settle", judged.validated_parameters, check))
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose /srv, /run/slipway and units are in a temporary directory, with an app called shop."""
    from ansible.module_utils.slipway_release import host

    for where in ("ROOT", "RUN", "UNITS"):
        (tmp_path / where).mkdir()
        monkeypatch.setattr(host, where, tmp_path / where)
    for below in ("releases", "cache", "incoming", "scale"):
        (tmp_path / "ROOT/shop" / below).mkdir(parents=True)
    (tmp_path / "RUN/shop").mkdir()


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


def run_task(directory: Path, task: dict, *words: str, **environment: str) -> tuple[int, dict]:
    """Run one task on this computer; the exit status of Ansible and the task's result."""
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            task | {"register": "it", "ignore_errors": True},
            {"copy": {"content": "{{ it | to_json }}", "dest": f"{directory}/it"}, "check_mode": False},
        ],
    }
    (directory / "play.yml").write_text(json.dumps([play]))
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", *words, f"{directory}/play.yml"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.returncode, json.loads((directory / "it").read_text())
