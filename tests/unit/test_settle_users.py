"""What settle runs to make a user as it shall be."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.module_utils.slipway_settle import users

from .conftest import Failed

HOME = "/var/lib/shop"
OWN = ["--gid", "shop"]
LOGIN = ["--shell", "/usr/sbin/nologin", "shop"]
ADD_GROUP = ["groupadd", "--system", "shop"]
ADD_USER = ["useradd", "--system", "--no-create-home", *OWN, "--home-dir", HOME, *LOGIN]
CHANGE_USER = ["usermod", *OWN, "--home", HOME, *LOGIN]


@pytest.fixture
def known(monkeypatch):
    """Lays down which group and which user the machine knows, by the group's number and the user's properties."""

    def lay_down(group: int | None, **user: object) -> None:
        groups = {"shop": SimpleNamespace(gr_gid=group)} if group else {}
        right = {"pw_gid": group, "pw_dir": HOME, "pw_shell": users.NOLOGIN}
        people = {"shop": SimpleNamespace(**right | user)} if user else {}
        monkeypatch.setattr(users.grp, "getgrnam", groups.__getitem__)
        monkeypatch.setattr(users.pwd, "getpwnam", people.__getitem__)

    return lay_down


def test_a_user_and_a_group_that_are_missing_are_made(known):
    known(None)
    assert users.commands("shop", HOME) == [ADD_GROUP, ADD_USER]


def test_a_user_is_made_in_a_group_that_is_there(known):
    known(901)
    assert users.commands("shop", HOME) == [ADD_USER]


def test_a_user_who_is_as_it_shall_be_is_left_alone(known):
    known(901, pw_gid=901)
    assert users.commands("shop", HOME) == []


@pytest.mark.parametrize("other", [{"pw_dir": "/srv"}, {"pw_shell": "/bin/bash"}, {"pw_gid": 100}])
def test_a_user_with_another_home_shell_or_group_is_changed(known, other):
    known(901, **other)
    assert users.commands("shop", HOME) == [CHANGE_USER]


def test_a_user_whose_group_is_gone_gets_a_new_one(known):
    known(None, pw_gid=901)
    assert users.commands("shop", HOME) == [ADD_GROUP, CHANGE_USER]


def test_users_that_are_changed_are_named(known, module):
    known(901, pw_dir="/srv")
    assert users.settle(module, [{"name": "shop", "home": HOME}]) == ["shop"]
    assert module.commands == [CHANGE_USER]
    known(901, pw_gid=901)
    assert users.settle(module, [{"name": "shop", "home": HOME}]) == []


def test_a_check_makes_no_user(known, module):
    known(None)
    module.check_mode = True
    assert users.settle(module, [{"name": "shop", "home": HOME}]) == ["shop"]
    assert module.commands == []


def test_a_user_who_cannot_be_made_ends_it(known, module):
    known(901)
    module.status = {"useradd": 9}
    with pytest.raises(Failed, match="useradd .* shop failed: it went wrong"):
        users.settle(module, [{"name": "shop", "home": HOME}])


def test_users_are_there_before_the_files_that_are_theirs(known, settle, monkeypatch, tmp_path):
    known(None)
    file = tmp_path / "a.conf"
    made = []

    def settle_users(module, wanted):
        made.append(file.exists())
        return [user["name"] for user in wanted]

    monkeypatch.setattr(users, "settle", settle_users)
    said = settle(users=[{"name": "shop", "home": HOME}], files=[{"dest": str(file), "content": "x"}])
    assert said["changed"]
    assert (made, file.exists()) == ([False], True)
