"""Signals behind a shell: they reach what it has started, and nothing is cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from ansible.module_utils.slipway_release import supervise

WORK = """
import signal, sys, time
def bye(*_):
    time.sleep(1); print("done", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("up", flush=True)
time.sleep(60)
"""


def started(*command):
    """Start a command under the supervisor, and wait until it says that it is up."""
    words = [sys.executable, supervise.__file__, *command]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "up\n"
    return process


@pytest.fixture
def work(tmp_path):
    """The words of a program that finishes its job when it is asked to end."""
    (tmp_path / "work.py").write_text(WORK)
    return f"{sys.executable} {tmp_path}/work.py"


@pytest.mark.parametrize(
    "line",
    ["{0} 2>&1", "{0} | cat", "sh -c '{0}; true'", "({0}) ; true", "{0} & wait", "sh -c '{0} & wait; true' ; true"],
)
def test_a_job_is_finished_behind_any_shell(work, line):
    process = started("sh", "-c", line.format(work))
    process.terminate()
    assert process.communicate(timeout=30)[0] == "done\n"
    assert process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_what_has_left_its_parent_is_waited_for_too(work):
    process = started("sh", "-c", f"setsid sh -c '{work} & exit' & sleep 60")
    time.sleep(0.3)
    process.terminate()
    assert process.communicate(timeout=30)[0] == "done\n"


@pytest.mark.parametrize(("line", "status"), [("echo up; exit 3", 3), ("echo up; kill -9 $$", 137), ("echo up", 0)])
def test_the_status_is_the_commands_own(line, status):
    process = started("sh", "-c", line)
    process.communicate(timeout=30)
    assert process.returncode == status


def test_a_line_that_ends_ends_the_service_whatever_it_leaves(work):
    process = started("sh", "-c", f"{work} & sleep 0.5; exit 5")
    while process.poll() is None:
        time.sleep(0.1)
    assert process.returncode == 5
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def test_what_systemd_hands_over_reaches_the_command():
    ours, its = os.pipe()
    command = ["sh", "-c", f"echo up; echo here >/dev/fd/{its}"]
    words = [sys.executable, supervise.__file__, *command]
    subprocess.run(words, pass_fds=[its], capture_output=True, check=True)
    os.close(its)
    with os.fdopen(ours) as said:
        assert said.read() == "here\n"
