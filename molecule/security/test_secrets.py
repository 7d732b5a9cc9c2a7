"""A planted secret is where it belongs and nowhere else: in no log, no unit, no words of a process, nothing printed."""

from __future__ import annotations

import pytest
from machine import PROJECT

CANARY = "canary-5ec12e7"


def printed(machine) -> str:
    """Return what the run printed that made the site, with -vvv --diff."""
    return (machine.scratch / f"{machine.machine}.log").read_text()


@pytest.fixture(scope="module")
def key(machine) -> str:
    """The app's SECRET_KEY, which the first run has made."""
    found = machine.shell("grep -h ^SECRET_KEY= /srv/guestbook/current/env").partition("=")[2].strip('"')
    assert len(found) >= 32
    return found


def test_the_app_has_its_secret(machine):
    assert CANARY in machine.shell("tr '\\0' '\\n' < /proc/$(pgrep -of bin/gunicorn)/environ")


def test_a_run_does_not_print_it_however_much_it_is_asked_for(machine, key):
    said = printed(machine)
    assert "PLAY RECAP" in said and "--- before" in said
    assert CANARY not in said
    assert key not in said


def test_no_process_had_it_among_its_words(machine):
    assert machine.shell("systemctl is-active look; cat /root/seen") == "active"


def test_the_machine_keeps_it_in_one_file_that_one_group_reads(machine, key):
    for secret in (CANARY, key):
        places = "/etc /home /opt /root /run /srv /tmp /usr/local /var"
        found = machine.shell(
            f"grep -rIlF --exclude=canary --exclude=seen -e '{secret}' {places} 2>/dev/null", check=False
        )
        assert [file for file in found.splitlines() if not file.endswith("/env")] == []
        assert machine.shell("stat -c '%U:%G %a' -L /srv/guestbook/current/env") == "root:guestbook 640"


def test_the_journal_and_the_units_do_not_know_it(machine, key):
    for secret in (CANARY, key):
        for command in (
            "journalctl --no-pager -o verbose -a",
            "systemctl show '*' --no-pager",
            "systemctl cat 'guestbook*'",
        ):
            assert machine.shell(f"{command} | grep -cF -e '{secret}'", check=False) == "0", command


def test_other_users_do_not_see_it(machine):
    looked = machine.shell(
        "runuser -u nobody -- sh -c 'cat /srv/guestbook/current/env /proc/*/environ' 2>/dev/null", check=False
    )
    assert CANARY not in looked


def test_the_control_node_keeps_it_encrypted(machine, key):
    assert (machine.scratch / f"{machine.machine}.vault.yml").read_text().startswith("$ANSIBLE_VAULT;")
    caches = [PROJECT / ".cache", machine.scratch]
    own = {machine.scratch / f"{machine.machine}.json"}
    for directory in caches:
        for file in directory.rglob("*"):
            if file.is_file() and file not in own and ".git" not in file.parts and file.stat().st_size < 10_000_000:
                content = file.read_bytes()
                assert key.encode() not in content, file
                if file.suffix != ".json":
                    assert CANARY.encode() not in content, file


@pytest.mark.parametrize(
    "wrong",
    [
        {"app_health_path": "/nowhere", "app_health_timeout_seconds": 3, "app_environment": {"GREETING": "changed"}},
        {"app_migrate_command": "false"},
        {"app_secrets": {"CANARY": [f"{CANARY}-in-a-list"]}},
        {"app_secrets": {"CANA RY": f"{CANARY}-with-a-wrong-name"}},
        {"app_environment": {"DATABASE_URL": f"postgres//user:{CANARY}@nowhere"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_failure_does_not_tell_it(machine, wrong):
    said = machine.run("deploy", code=2, words=("-vvv", "--diff"), **wrong)
    # What a user types himself is his.
    assert CANARY not in said.partition("PLAYBOOK:")[2]
    assert CANARY not in machine.shell("journalctl --no-pager -n 500")
