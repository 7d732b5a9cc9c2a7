"""The action plugin app_send, run by Ansible on this computer: a file is whole at its place, or not there."""

from __future__ import annotations

import os
import runpy
import stat
import subprocess
from pathlib import Path

import pytest

from .conftest import run_task

ROOT = Path(__file__).parents[2]
# It gives what it makes to root, as on a machine.
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to root")]


def send(tmp_path: Path, *words: str, **arguments: object) -> dict:
    """Send one file to an app's directory below ``tmp_path``; the task's result."""
    task = {"app_send": {"root": f"{tmp_path}/it's", **arguments}}
    return run_task(tmp_path, task, *words, ANSIBLE_ACTION_PLUGINS=str(ROOT / "roles/app/action_plugins"))[1]


def test_every_byte_of_a_file_arrives_and_is_roots_alone(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(bytes(range(256)) * (280 * 1024))  # more than two pieces
    said = send(tmp_path, name="a.tar.gz", path=str(archive))
    assert (said["changed"], said["failed"]) == (True, False)
    incoming = tmp_path / "it's/incoming"
    assert (incoming / "a.tar.gz").read_bytes() == archive.read_bytes()
    assert stat.S_IMODE((incoming / "a.tar.gz").stat().st_mode) == 0o600
    assert [stat.S_IMODE((tmp_path / "it's" / name).stat().st_mode) for name in ("cache", "incoming")] == [0o711, 0o700]
    assert [file.name for file in incoming.iterdir()] == ["a.tar.gz"]


def test_a_text_arrives_as_it_is(tmp_path: Path) -> None:
    send(tmp_path, name="id.env", content='A="a\\"\\$ é"\n')
    assert (tmp_path / "it's/incoming/id.env").read_text() == 'A="a\\"\\$ é"\n'


def test_what_cannot_be_written_is_a_failure_with_the_machines_words(tmp_path: Path) -> None:
    (tmp_path / "it's").write_text("no directory")
    said = send(tmp_path, name="id.env", content="A=1\n")
    assert said["failed"] and "id.env could not be sent" in said["msg"] and "Not a directory" in said["msg"]


def test_a_check_sends_nothing(tmp_path: Path) -> None:
    assert send(tmp_path, "--check", name="id.env", content="A=1\n")["changed"]
    assert not (tmp_path / "it's").exists()


@pytest.mark.parametrize("arguments", [{"name": "a"}, {"name": "a", "content": "1", "path": "/etc/passwd"}])
def test_nothing_to_send_or_two_things_are_refused(tmp_path: Path, arguments: dict) -> None:
    assert send(tmp_path, **arguments)["failed"]


def test_what_a_killed_sender_has_sent_is_not_taken_for_the_file(tmp_path: Path) -> None:
    receive = runpy.run_path(str(ROOT / "roles/app/action_plugins/app_send.py"))["receive"]
    command = receive(str(tmp_path), "a.tar.gz", False, 10)
    assert subprocess.run(["sh", "-c", command], input=b"cut off", check=False).returncode != 0
    assert [file.name for file in (tmp_path / "incoming").iterdir()] == ["a.tar.gz.part"]
    subprocess.run(["sh", "-c", command], input=b"all of it.", check=True)
    assert [file.name for file in (tmp_path / "incoming").iterdir()] == ["a.tar.gz"]
