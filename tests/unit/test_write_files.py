"""What write_files writes, what it leaves alone, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from .conftest import load

write_files = load("plugins/modules/write_files.py")


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the module and returns what it says."""

    def run(*files: dict, check: bool = False) -> dict:
        arguments = {"files": list(files), "_ansible_check_mode": check, "_ansible_remote_tmp": str(tmp_path / "tmp")}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            write_files.main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def file(tmp_path) -> Path:
    """A path in a directory that is not there yet."""
    return tmp_path / "etc/new.d/a.conf"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_file_is_written_once(run, file):
    wanted = {"dest": str(file), "content": "Größe\n", "mode": "0440"}
    first = run(wanted)
    assert first["changed"]
    assert first["changed_files"] == [str(file)]
    assert first["diff"][0]["after"] == "Größe\n"
    assert (file.read_text(), mode(file), mode(file.parent)) == ("Größe\n", 0o440, 0o755)
    assert not run(wanted)["changed"]
    assert [path.name for path in file.parent.iterdir()] == ["a.conf"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text("other"),
        lambda file: file.chmod(0o600),
        lambda file: (file.rename(file.with_name("b")), file.symlink_to("b")),
    ],
    ids=["content", "mode", "a link"],
)
def test_what_differs_is_made_good(run, file, spoil):
    run({"dest": str(file), "content": "text"})
    spoil(file)
    assert run({"dest": str(file), "content": "text"})["changed"]
    assert (file.read_text(), mode(file), file.is_symlink()) == ("text", 0o644, False)


def test_no_content_is_no_file(run, file):
    absent = {"dest": str(file), "content": ""}
    assert not run(absent)["changed"]
    run({"dest": str(file), "content": "text"})
    assert run(absent)["changed"]
    assert not file.exists()


def test_a_check_writes_nothing(run, file):
    assert run({"dest": str(file), "content": "text"}, check=True)["changed"]
    assert not file.parent.exists()


@pytest.mark.parametrize("check", [False, True])
def test_one_refused_file_keeps_all_from_being_written(run, file, check):
    good = {"dest": str(file), "content": "text", "validate": "grep -q text %s"}
    bad = {"dest": str(file.with_name("b.conf")), "content": "wrong", "validate": "grep -q text %s"}
    said = run(good, bad, check=check)
    assert said["failed"]
    assert "b.conf is refused" in said["msg"]
    assert not file.exists()


def test_directories_links_and_files_are_settled_in_their_order(run, tmp_path):
    top = tmp_path / "top"
    wanted = [
        {"dest": str(top), "directory": True, "mode": "0750"},
        {"dest": str(top / "a.conf"), "content": "text"},
        {"dest": str(top / "b.conf"), "link": "a.conf"},
    ]
    assert run(*wanted)["changed_files"] == [str(top), str(top / "a.conf"), str(top / "b.conf")]
    assert (mode(top), (top / "b.conf").read_text()) == (0o750, "text")
    assert not run(*wanted)["changed"]
    (top / "b.conf").unlink()
    (top / "b.conf").write_text("in the way")
    assert run(*wanted)["changed_files"] == [str(top / "b.conf")]
    assert (top / "b.conf").is_symlink()


def test_what_was_changed_before_a_refused_file_is_put_back(run, file):
    link = file.with_name("link")
    old = [{"dest": str(file), "content": "old", "mode": "0600"}, {"dest": str(link), "link": "a.conf"}]
    run(*old)
    new = [{"dest": str(file), "content": "new"}, {"dest": str(link), "link": "elsewhere"}]
    fresh = {"dest": str(file.with_name("fresh")), "content": "x"}
    bad = {"dest": str(file.with_name("bad")), "content": "x", "validate": "false %s"}
    assert "nothing was written" in run(*new, fresh, bad)["msg"]
    assert not run(*old)["changed"]
    assert sorted(path.name for path in file.parent.iterdir()) == ["a.conf", "link"]


def test_a_file_is_judged_with_those_before_it_in_place(run, file):
    first = {"dest": str(file), "content": "text"}
    second = {
        "dest": str(file.with_name("b")),
        "content": "x",
        "validate": f"test %s -nt {file}",
        "needs_earlier": True,
    }
    assert run(first, second, check=True)["changed"]
    assert run(first, second)["changed"]
    assert run({**second, "content": "y", "validate": "false %s"}, check=True)["failed"]


@pytest.mark.parametrize("more", [{}, {"content": "x", "link": "y"}, {"link": "y", "directory": True}])
def test_exactly_one_kind_is_asked_for(run, file, more):
    assert "exactly one of" in run({"dest": str(file), **more})["msg"]


def test_a_user_who_is_not_there_ends_it_but_not_a_check(run, file):
    wanted = {"dest": str(file), "content": "x", "owner": "no-such-user"}
    assert "no-such-user is no user" in run(wanted)["msg"]
    assert run(wanted, check=True)["changed"]
    assert not file.exists()
