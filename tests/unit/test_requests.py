"""What an operation is refused for before any machine is touched: the machine here cannot be reached at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# A run of ansible-playbook each: for `make test`, not for the fast lane.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
INVENTORY = """
[web]
web1 ansible_host=192.0.2.1 ansible_connection=ssh
[web:vars]
ansible_user=admin
app_name=shop
app_source=sample_app
"""


def run(tmp_path: Path, playbook: str, *options: str) -> str:
    """Return what a refused playbook prints."""
    (tmp_path / "prod").write_text(INVENTORY)
    program = str(Path(sys.executable).parent / "ansible-playbook")
    words = [program, "-i", str(tmp_path / "prod"), f"playbooks/{playbook}.yml", *options]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("playbook", "options", "said"),
    [
        ("maintenance", [], "Expected: -e maintenance=on, or -e maintenance=off; asked for was neither"),
        ("maintenance", ["-e", "maintenance=maybe"], "asked for was maybe"),
        ("maintenance", ["--limit", "web1", "-e", "maintenance="], "Expected: -e maintenance=on"),
        ("releases", ["-e", "limit=all"], "Expected: -e limit=5; asked for was all"),
        ("releases", ["-e", "limit=0"], "Expected: -e limit=5; asked for was 0"),
        ("run", [], 'Expected, for example: -e command="flask routes"'),
        ("run", ["--limit", "web1"], 'Expected, for example: -e command="flask routes"'),
        ("run", ["-e", "command=ls", "-e", "on=db1"], "db1 is no web machine. Expected: -e on=HOST, one of web1"),
        ("run", ["-e", "command=flask x app_name=other"], "Write it as JSON"),
    ],
)
def test_a_request_that_is_not_clear_is_refused(tmp_path, playbook, options, said):
    printed = run(tmp_path, playbook, *options)
    assert said in printed
    assert "No machine was touched" in printed
    assert "UNREACHABLE" not in printed
