"""How settle reads what dpkg says, and when it waits and installs."""

from __future__ import annotations

import os
import time

import pytest
from ansible.module_utils.slipway_settle import packages


def test_states_are_read_with_and_without_a_blank_before_the_name():
    printed = "ii  acl\nii nginx\niU  curl:amd64\n"
    assert packages.states_of(printed) == {"acl": "ii ", "nginx": "ii ", "curl:amd64": "iU "}


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
    assert packages.is_interrupted({"acl": "ii ", "curl": state}) == interrupted


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Lists that were fetched now."""
    monkeypatch.setattr(packages, "LISTS", tmp_path)
    monkeypatch.setattr(packages, "FETCHED", tmp_path / "fetched")
    (tmp_path / "fetched").touch()
    (tmp_path / "debian_main_Packages").touch()
    return tmp_path


def test_lists_are_fresh_for_an_hour_after_they_were_fetched(lists):
    assert packages.lists_are_fresh(time.time() + 3500)
    assert not packages.lists_are_fresh(time.time() + 3700)


def test_the_age_of_lists_that_we_did_not_fetch_says_nothing(lists):
    (lists / "fetched").unlink()
    assert not packages.lists_are_fresh(time.time())


def test_lists_that_are_gone_are_not_fresh(lists):
    os.remove(lists / "debian_main_Packages")
    assert not packages.lists_are_fresh(time.time())


@pytest.fixture
def boot(tmp_path, monkeypatch):
    """The directory of a cloud-init that is enabled and still at work."""
    monkeypatch.setattr(packages, "FIRST_BOOT", tmp_path)
    (tmp_path / "enabled").touch()
    return tmp_path


def test_a_first_boot_under_way_is_waited_for(boot, module):
    packages.Packages(module, ["acl"], 60).let_first_boot_finish()
    assert module.commands == [["timeout", "60", "cloud-init", "status", "--wait"]]


def test_a_first_boot_that_ends_with_complaints_has_ended(boot, module):
    module.status = {"timeout": 2}
    packages.Packages(module, ["acl"], 60).let_first_boot_finish()
    assert len(module.commands) == 1


def test_a_first_boot_that_is_over_is_not_waited_for(boot, module):
    (boot / "result.json").touch()
    packages.Packages(module, ["acl"], 60).let_first_boot_finish()
    assert module.commands == []


def test_a_machine_without_cloud_init_is_not_waited_for(boot, module):
    (boot / "enabled").unlink()
    packages.Packages(module, ["acl"], 60).let_first_boot_finish()
    assert module.commands == []


@pytest.fixture
def dpkg(boot, lists, module, monkeypatch, tmp_path_factory):
    """A module on a machine that has booted, has fresh lists, and of whose packages dpkg says what the test prints."""
    (boot / "result.json").touch()
    monkeypatch.setattr(packages, "JOURNAL", tmp_path_factory.mktemp("updates"))
    module.printed = {"dpkg-query": "ii acl\n"}
    return module


def programs(module):
    """The programs that were run and change something."""
    return [(command[0], command[-1]) for command in module.commands if command[0] != "dpkg-query"]


def test_nothing_is_run_where_all_is_installed(dpkg):
    assert packages.Packages(dpkg, ["acl", "acl:amd64"], 60).settle() == ([], False)
    assert programs(dpkg) == []


def test_all_are_installed_at_once_where_one_is_missing(dpkg):
    assert packages.Packages(dpkg, ["acl", "nginx", "nginx"], 60).settle() == (["nginx"], False)
    assert programs(dpkg) == [("apt-get", "nginx")]
    assert dpkg.commands[-1][-3:] == ["install", "acl", "nginx"]


def test_lists_are_fetched_before_an_installation_where_they_are_old(dpkg, lists):
    (lists / "fetched").unlink()
    packages.Packages(dpkg, ["nginx"], 60).settle()
    assert programs(dpkg) == [("apt-get", "update"), ("apt-get", "nginx")]
    assert (lists / "fetched").exists()


def test_an_interrupted_installation_is_finished_first(dpkg):
    (packages.JOURNAL / "0001").touch()
    assert packages.Packages(dpkg, ["acl", "nginx"], 60).settle() == (["nginx"], True)
    assert programs(dpkg) == [("dpkg", "-a"), ("apt-get", "install"), ("apt-get", "nginx")]


def test_a_check_waits_for_nothing_and_installs_nothing(dpkg, boot):
    (boot / "result.json").unlink()
    dpkg.check_mode = True
    assert packages.Packages(dpkg, ["acl", "nginx"], 60).settle() == (["nginx"], False)
    assert programs(dpkg) == []


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lets the packages be missing; the returned list says which files were there when they were installed."""
    there = []

    def settle(self):
        there.extend(path.name for path in sorted(tmp_path.glob("*.conf")))
        return self.names, False

    monkeypatch.setattr(packages.Packages, "settle", settle)
    return there


def conf(tmp_path, name):
    """An entry for a file of that name."""
    return {"dest": str(tmp_path / name), "content": "text"}


def test_prepared_files_are_written_before_packages_are_installed_and_the_others_after(settle, install, tmp_path):
    said = settle(prepare=[conf(tmp_path, "a.conf")], packages=["nginx"], files=[conf(tmp_path, "b.conf")])
    assert install == ["a.conf"]
    assert said["changed"]
    assert said["missing"] == ["nginx"]
    assert said["changed_files"] == [str(tmp_path / "a.conf"), str(tmp_path / "b.conf")]
    assert [part["before_header"] for part in said["diff"]] == said["changed_files"]


def test_a_check_ends_at_a_missing_package(settle, monkeypatch, tmp_path):
    monkeypatch.setattr(packages.Packages, "missing", lambda self: self.names)
    monkeypatch.setattr(packages.Packages, "interrupted", lambda self: False)
    # It would be refused if it were looked at.
    file = conf(tmp_path, "b.conf") | {"validate": "false %s"}
    said = settle(check=True, prepare=[conf(tmp_path, "a.conf")], packages=["nginx"], files=[file])
    assert said["changed"]
    assert said["missing"] == ["nginx"]
    assert said["changed_files"] == [str(tmp_path / "a.conf")]
    assert not list(tmp_path.glob("*.conf"))


def test_a_check_goes_on_where_no_package_is_missing(settle, monkeypatch, tmp_path):
    monkeypatch.setattr(packages.Packages, "missing", lambda self: [])
    monkeypatch.setattr(packages.Packages, "interrupted", lambda self: False)
    said = settle(check=True, packages=["nginx"], files=[conf(tmp_path, "b.conf")])
    assert said["changed_files"] == [str(tmp_path / "b.conf")]
