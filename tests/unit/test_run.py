"""One-off commands: which command is meant, and what its environment is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.slipway_release import layout
from ansible.module_utils.slipway_release.release import Release
from ansible.parsing.splitter import parse_kv

ROLE = Path(__file__).parents[2] / "roles/app"


def load(path: str) -> ModuleType:
    """Return a plugin of the role as a module."""
    spec = importlib.util.spec_from_file_location(f"run_{Path(path).parent.name}", ROLE / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


action, machine = load("action_plugins/app_run.py"), load("library/app_run.py")


def asked(*options: str) -> str:
    """Return what is understood of -e OPTION..., with the value that Ansible itself would give the variable."""
    value = None
    for option in options:
        value = parse_kv(option).get("command", value)
    return action.asked_for(options, value)


@pytest.mark.parametrize(
    "command",
    [
        "flask routes",
        "echo 'a  b' \"c  d\" $HOME ${x:-y} \\$z",
        "python -c \"print('{{ x }}', {1: 2})\"",
        "one\n  two\n",
        "FLASK_DEBUG=0 flask user name=ada",
        "echo \\n \\\\ %s #x é",
        " '$HOME' ",
        "'a' b 'c'",
    ],
)
def test_a_command_is_what_was_typed(command):
    assert asked("on=web1", f"command={command}") == command


def test_quotes_around_the_whole_are_ansibles():
    assert asked("command='flask routes'") == asked('command="flask routes"') == "flask routes"


def test_the_last_one_counts():
    assert asked("command=one", "command=two words") == "two words"


def test_a_command_from_json_or_a_file_is_the_variable():
    assert action.asked_for(['{"command": "a {{ b }}"}', "@file"], "a {{ b }}") == "a {{ b }}"


@pytest.mark.parametrize(
    ("options", "value", "said"),
    [
        ((), None, "Say which command"),
        (("command=",), "", "no text"),
        (('{"command": 5}',), 5, "no text"),
        (("on=web1 command=flask routes",), "flask", "one of its own"),
        (("command=x app_name=other",), "x", "app_name=..."),
        (("command=x ansible_host=other",), "x", "ansible_host=..."),
    ],
)
def test_what_is_not_clear_is_refused(options, value, said):
    with pytest.raises(AnsibleActionFail, match=said):
        action.asked_for(options, value)


def test_the_environment_is_the_launchers_own(tmp_path, monkeypatch):
    """What slipway-release writes before a command is what a one-off command gets, and nothing of the command."""
    monkeypatch.setattr("grp.getgrnam", lambda app: type("Group", (), {"gr_gid": 0}))
    monkeypatch.setattr(layout.host, "write", lambda path, text, mode, group=0, lasting=True: path.write_text(text))
    monkeypatch.setattr(layout.os, "chown", lambda *_: None)
    manifest = {"web": "exec gunicorn x:y", "processes": {}, "migrate": "", "roots": [".", "lib"], "python": "3.11"}
    made = layout.Layout(Release("shop", "000000000001"), manifest)
    made.part = tmp_path
    made._programs()
    launcher = (tmp_path / "bin/web").read_text()
    head = machine.environment_of(launcher)
    assert launcher.startswith(f"#!/bin/sh\n{head}") and "gunicorn" not in head and "read" not in head
    assert "VIRTUAL_ENV=/srv/shop/releases/000000000001/venv" in head and "cd /srv/shop/releases" in head
