"""The environment file: what goes in comes out, whoever reads it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.slipway_release.release import decode_environment

HOSTILE = json.loads((Path(__file__).parents[1] / "hostile.json").read_text())


def test_thirty_values_are_meant():
    assert len(HOSTILE) == 30


@pytest.mark.parametrize("name", HOSTILE)
def test_shell_reads_back_every_byte(envfile, tmp_path, name):
    (tmp_path / "env").write_text(envfile({name: HOSTILE[name]}))
    script = f'. ./env; printf "%s|" "${name}"'
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True, env={"PATH": os.defpath})
    assert done.stdout == (HOSTILE[name] + "|").encode()


def test_release_program_reads_back_all_at_once(envfile):
    assert decode_environment(envfile(HOSTILE)) == HOSTILE


def test_sorted_by_name_so_that_the_order_of_the_inventory_does_not_matter(envfile):
    assert envfile({"B": "2", "A": "1"}) == envfile({"A": "1", "B": "2"}) == 'A="1"\nB="2"\n'


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (0, "0"), (8000, "8000"), (1.5, "1.5"), ("", "")]
)
def test_values_that_are_no_strings(envfile, value, text):
    assert envfile({"A": value}) == f'A="{text}"\n'


@pytest.mark.parametrize("value", [None, [], {}, ["a"], {"a": "b"}, ("a",)])
def test_value_of_several_parts_is_refused(envfile, value):
    with pytest.raises(AnsibleFilterError, match="^A in app_environment or app_secrets must be a string"):
        envfile({"A": value})


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n", "A\nB", "$A"])
def test_name_that_no_shell_has_is_refused(envfile, name):
    with pytest.raises(AnsibleFilterError, match="is no name of a setting"):
        envfile({name: "x"})


def test_refusal_does_not_repeat_the_value(envfile):
    with pytest.raises(AnsibleFilterError, match="NUL byte") as caught:
        envfile({"A": "hunter2\0"})
    assert "hunter2" not in str(caught.value)
