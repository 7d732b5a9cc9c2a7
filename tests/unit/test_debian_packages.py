"""How the module debian_packages reads what dpkg says."""

from __future__ import annotations

import os
import time

import pytest

from .conftest import load

debian_packages = load("plugins/modules/debian_packages.py")


def test_states_are_read_with_and_without_a_blank_before_the_name():
    printed = "ii  acl\nii nginx\niU  curl:amd64\n"
    assert debian_packages.states_of(printed) == {"acl": "ii ", "nginx": "ii ", "curl:amd64": "iU "}


@pytest.mark.parametrize(
    ("state", "interrupted"),
    [
        ("ii ", False),
        ("rc ", False),
        ("hi ", False),
        ("un ", False),
        ("iU ", True),
        ("iF ", True),
        ("iHR", True),
        ("it ", True),
    ],
)
def test_a_state_between_those_that_last_is_an_interruption(state, interrupted):
    assert debian_packages.is_interrupted({"acl": "ii ", "curl": state}) == interrupted


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Lists that were fetched now."""
    monkeypatch.setattr(debian_packages, "LISTS", tmp_path)
    monkeypatch.setattr(debian_packages, "FETCHED", tmp_path / "fetched")
    (tmp_path / "fetched").touch()
    (tmp_path / "debian_main_Packages").touch()
    return tmp_path


def test_lists_are_fresh_for_an_hour_after_they_were_fetched(lists):
    assert debian_packages.lists_are_fresh(time.time() + 3500)
    assert not debian_packages.lists_are_fresh(time.time() + 3700)


def test_the_age_of_lists_that_we_did_not_fetch_says_nothing(lists):
    (lists / "fetched").unlink()
    assert not debian_packages.lists_are_fresh(time.time())


def test_lists_that_are_gone_are_not_fresh(lists):
    os.remove(lists / "debian_main_Packages")
    assert not debian_packages.lists_are_fresh(time.time())
