"""What a light module has instead of Ansible's, and its way to a machine, by Ansible on this computer."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.slipway_light.machine import Module

from .conftest import ROOT, load, run_task

LIGHT = ["plugins/modules/settle.py", "plugins/modules/inspect_machine.py", "roles/app/library/app_release.py"]
# Says what it got, and does what it is told.
PROBE = """
import os, sys
from ansible.module_utils.slipway_light.machine import Module
from ansible.module_utils.slipway_settle.files import text_of

ARGUMENTS = {
    "say": {"type": "str", "required": True},
    "count": {"type": "int", "default": 3},
    "how": {"type": "str", "choices": ["well", "warned", "failed", "raised", "silent"], "default": "well"},
}


def run(module: Module) -> None:
    said, how = module.params["say"], module.params["how"]
    if how == "warned":
        module.warn("mind the gap")
    if how == "failed":
        module.fail_json(msg=f"no {said}", step="one")
    if how == "raised":
        raise ValueError(f"oh {said}")
    if how == "silent":
        return
    print("from somewhere else")
    module.exit_json(
        said=said, count=module.params["count"], check=module.check_mode, proxy=os.environ.get("proxy"),
        python=sys.executable, ansible=sorted(name for name in sys.modules if name.startswith("ansible")),
    )
"""
ACTION = f'''
import ansible.module_utils
ansible.module_utils.__path__.append("{ROOT}/plugins/module_utils")
from ansible.module_utils.slipway_light.control import LightAction

class ActionModule(LightAction):
    """The probe's."""
'''


@pytest.fixture
def plugins(tmp_path: Path) -> dict[str, str]:
    """A light module of the test's own: the environment in which Ansible finds it."""
    for kind, text in (("library", PROBE), ("action", ACTION)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "probe.py").write_text(text)
    return {"ANSIBLE_LIBRARY": f"{tmp_path}/library", "ANSIBLE_ACTION_PLUGINS": f"{tmp_path}/action"}


@pytest.fixture
def probe(tmp_path: Path, plugins: dict[str, str]) -> Callable[..., tuple[int, dict]]:
    """Runs it as a task of a user's."""

    def run(*words: str, keywords: dict | None = None, **arguments: object) -> tuple[int, dict]:
        return run_task(tmp_path, {"probe": arguments} | (keywords or {}), *words, **plugins)

    return run


@pytest.mark.slow
def test_it_gets_what_was_said_and_says_what_it_found(probe: Callable) -> None:
    _, said = probe("--check", say="é '$HOME' \"\n\\", count="7", keywords={"environment": {"proxy": "a b"}})
    assert (said["said"], said["count"], said["check"], said["proxy"]) == ("é '$HOME' \"\n\\", 7, True, "a b")
    assert (said["changed"], said["failed"]) == (False, False)
    assert said["python"] == "/usr/bin/python3"


@pytest.mark.slow
def test_the_inventory_may_name_another_python(tmp_path: Path, probe: Callable) -> None:
    (tmp_path / "python").symlink_to("/usr/bin/python3")
    words = ["-e", f"here={tmp_path}", "-e", "ansible_python_interpreter={{here}}/python"]
    assert probe(*words, say="x")[1]["python"] == f"{tmp_path}/python"


@pytest.mark.slow
def test_nothing_of_ansible_itself_is_carried_to_the_machine(probe: Callable) -> None:
    _, said = probe(say="hello")
    assert [name for name in said["ansible"] if "slipway" not in name] == ["ansible", "ansible.module_utils"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("failed", "no way"),
        ("raised", "ValueError: oh way"),
        ("silent", "without a result, with status 0"),
        ("nicely", "nicely"),
    ],
)
def test_what_goes_wrong_is_said(probe: Callable, how: str, expected: str) -> None:
    _, said = probe(say="way", how=how)
    assert said["failed"] and expected in said["msg"]
    assert said.get("step") == ("one" if how == "failed" else None)


@pytest.mark.slow
def test_a_machine_without_python_says_so_and_nothing_else(probe: Callable) -> None:
    _, said = probe(say="x", keywords={"vars": {"ansible_python_interpreter": "/no/such/python"}})
    assert said["msg"].endswith("/no/such/python: not found") and said["rc"] == 127


@pytest.mark.slow
def test_a_warning_reaches_the_person_in_front(plugins: dict[str, str]) -> None:
    command = ["ansible", "localhost", "-c", "local", "-m", "probe", "-a", "say=x how=warned"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | plugins, capture_output=True, text=True, check=True)
    assert "mind the gap" in done.stderr


@pytest.mark.parametrize("path", LIGHT)
def test_what_a_light_module_takes_is_what_it_documents(path: str) -> None:
    module = load(path)

    def compared(arguments: dict, options: dict) -> None:
        assert set(arguments) == set(options)
        for name, argument in arguments.items():
            described = {key: value for key, value in options[name].items() if key not in ("description", "suboptions")}
            plain = {key: value for key, value in argument.items() if key not in ("options", "no_log")}
            assert plain == described, name
            compared(argument.get("options", {}), options[name].get("suboptions", {}))

    compared(module.ARGUMENTS, yaml.safe_load(module.DOCUMENTATION)["options"])


@pytest.mark.parametrize("path", [*LIGHT, *(str(file) for file in (ROOT / "plugins/module_utils").rglob("*.py"))])
def test_a_light_module_needs_nothing_that_is_not_carried(path: str) -> None:
    if Path(path).name == "control.py":
        return
    named = re.findall(r"ansible\.module_utils\.(\w+)", (ROOT / path).read_text())
    assert [name for name in named if not name.startswith("slipway_")] == []


def ended(module: Module, capsys: pytest.CaptureFixture, end: Callable, **result: object) -> dict:
    """What a module says with its end."""
    with pytest.raises(SystemExit):
        end(**result)
    return json.loads(capsys.readouterr().out)


def test_its_directory_is_its_own_and_goes_with_it(capsys: pytest.CaptureFixture) -> None:
    module = Module("probe", {}, False)
    directory = Path(module.tmpdir)
    assert directory.stat().st_mode & 0o777 == 0o700 and module.tmpdir == str(directory)
    ended(module, capsys, module.exit_json)
    assert not directory.exists()


def test_a_command_is_told_its_environment_and_reads_nothing(capsys: pytest.CaptureFixture) -> None:
    module = Module("probe", {}, False)
    said = module.run_command(["sh", "-c", "cat; echo $A; printf '\\377' >&2; exit 3"], environ_update={"A": "b"})
    assert said == (3, "b\n", "\udcff")
    # A byte that is no text arrives too.
    assert ended(module, capsys, module.exit_json, err=said[2])["err"] == "\udcff"


def test_a_command_that_must_succeed_or_is_not_there_ends_the_module(capsys: pytest.CaptureFixture) -> None:
    module = Module("probe", {}, False)
    for command, expected in ((["sh", "-c", "echo no >&2; exit 1"], "failed: no"), (["/no/such"], "cannot be started")):
        said = ended(module, capsys, module.run_command, command=command, check_rc=True)
        assert said["failed"] and expected in said["msg"]
    with pytest.raises(FileNotFoundError):
        module.run_command(["/no/such"], handle_exceptions=False)
