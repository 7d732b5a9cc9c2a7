"""The action plugin look, run by Ansible on this computer; and what the vars plugins may cost each task."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import run_task

ROOT = Path(__file__).parents[2]


def look(tmp_path: Path, *words: str, **arguments: object) -> tuple[int, dict]:
    """Run one look on this computer; the exit status of Ansible and the task's result."""
    return run_task(tmp_path, {"look": arguments}, *words)


def test_a_look_answers_also_in_a_check_and_hands_over_arguments_and_input_as_they_are(tmp_path: Path) -> None:
    code, said = look(
        tmp_path, "--check", command=["sh", "-s", "a b", "$HOME;'"], stdin='pwd; echo "$1"; echo "$2"; echo no >&2\n'
    )
    assert code == 0
    assert said["stdout_lines"] == ["/", "a b", "$HOME;'"]
    assert (said["rc"], said["stderr"].strip(), said["changed"], said["failed"]) == (0, "no", False, False)


@pytest.mark.parametrize(("statuses", "failed"), [([0], True), ([0, 3], False)])
def test_another_status_than_the_expected_ones_is_a_failure_that_says_why(
    tmp_path: Path, statuses: list[int], failed: bool
) -> None:
    _, said = look(tmp_path, command=["sh", "-c", "echo not today >&2; exit 3"], statuses=statuses)
    assert (said["failed"], said["rc"]) == (failed, 3)
    if failed:
        assert "ended with 3: not today" in said["msg"]


def test_a_word_that_look_does_not_know_is_refused(tmp_path: Path) -> None:
    _, said = look(tmp_path, command=["true"], chdir="/")
    assert said["failed"] and "chdir" in said["msg"]


@pytest.mark.parametrize("plugin", sorted((ROOT / "plugins/vars").glob("*.py")), ids=lambda path: path.stem)
def test_ansible_keeps_one_instance_of_each_vars_plugin(plugin: Path) -> None:
    """It would read the plugin's documentation again for each task of each machine."""
    assert "    is_stateless = True\n" in plugin.read_text()
