"""What settle does to files, what it leaves alone, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.slipway_settle import files


@pytest.fixture
def run(settle):
    """Runs the module with a list of files and returns what it says."""

    def run(*wanted: dict, check: bool = False) -> dict:
        return settle(check, files=list(wanted))

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
    file.parent.mkdir(parents=True)
    file.with_name("elsewhere").touch()
    old = [{"dest": str(file), "content": "old", "mode": "0600"}, {"dest": str(link), "link": "a.conf"}]
    run(*old)
    new = [{"dest": str(file), "content": "new"}, {"dest": str(link), "link": "elsewhere"}]
    fresh = {"dest": str(file.with_name("fresh")), "content": "x"}
    bad = {"dest": str(file.with_name("bad")), "content": "x", "validate": "false %s"}
    assert "nothing was written" in run(*new, fresh, bad)["msg"]
    assert not run(*old)["changed"]
    assert sorted(path.name for path in file.parent.iterdir()) == ["a.conf", "elsewhere", "link"]


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


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"content": "x", "link": "y"},
        {"content": "", "directory": True},
        {"link": "y", "directory": True},
        {"content": "x", "block": "y"},
        {"block": "", "make": ["true"]},
        {"make": ["true"], "directory": True},
    ],
)
def test_exactly_one_kind_is_asked_for(run, file, more):
    assert "exactly one of" in run({"dest": str(file), **more})["msg"]
    assert not file.exists()


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"content": "x"}, "file"),
        ({"content": ""}, "absent"),
        ({"block": "x"}, "file"),
        ({"block": ""}, "file"),
        ({"link": "x"}, "link"),
        ({"make": ["x"]}, "made"),
        ({"directory": True}, "directory"),
        ({"keep": True}, "kept"),
    ],
)
def test_each_kind_has_its_own_word(more, kind):
    nothing = dict.fromkeys(("content", "block", "link", "make")) | {"directory": False, "keep": False}
    assert files.kind_of(nothing | more) == kind


def test_a_user_who_is_not_there_ends_it_but_not_a_check(run, file):
    wanted = {"dest": str(file), "content": "x", "owner": "no-such-user"}
    assert "no-such-user is no user" in run(wanted)["msg"]
    assert run(wanted, check=True)["changed"]
    assert not file.exists()


def test_a_link_to_what_is_not_there_is_refused(run, file):
    run({"dest": str(file), "content": "old"})
    new = {"dest": str(file), "content": "new"}
    said = run(new, {"dest": str(file.with_name("link")), "link": "nowhere"})
    assert said["failed"]
    assert "link is refused, and nothing was written" in said["msg"]
    assert "no such file" in said["msg"]
    assert file.read_text() == "old"
    assert [path.name for path in file.parent.iterdir()] == ["a.conf"]


def test_a_link_that_was_there_outlives_a_refused_one(run, file):
    link = file.with_name("link")
    run({"dest": str(file), "content": "text"}, {"dest": str(link), "link": "a.conf"})
    assert run({"dest": str(link), "link": "nowhere"})["failed"]
    assert os.readlink(link) == "a.conf"


def test_a_block_is_appended_to_a_file_that_stays_its_owners(run, file):
    file.parent.mkdir(parents=True)
    file.write_text("theirs")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 1, 2)
    before = file.stat()
    wanted = {"dest": str(file), "block": "one\ntwo\n", "mode": "0600"}
    assert run(wanted)["changed_files"] == [str(file)]
    assert file.read_text() == "theirs\n# BEGIN slipway\none\ntwo\n# END slipway\n"
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert not run(wanted)["changed"]


def test_a_block_that_differs_is_replaced_where_it_stands(run, file):
    file.parent.mkdir(parents=True)
    file.write_text("first\n# BEGIN slipway\nold\nolder\n# END slipway\nlast\n")
    wanted = {"dest": str(file), "block": "new"}
    said = run(wanted)
    assert file.read_text() == "first\n# BEGIN slipway\nnew\n# END slipway\nlast\n"
    assert "old\n" in said["diff"][0]["before"]
    assert said["diff"][0]["after"] == file.read_text()
    assert not run(wanted)["changed"]


def test_blocks_of_two_topics_leave_each_other_alone(run, file):
    one, two = ({"dest": str(file), "block": f"of {topic}", "topic": topic} for topic in ("one", "two"))
    run(one)
    run(two)
    assert file.read_text() == "# BEGIN one\nof one\n# END one\n# BEGIN two\nof two\n# END two\n"
    assert not run(one)["changed"]
    assert not run(two)["changed"]
    assert run(one | {"block": "other"})["changed"]
    assert file.read_text() == "# BEGIN one\nother\n# END one\n# BEGIN two\nof two\n# END two\n"


def test_a_block_makes_a_file_that_is_missing(run, file):
    wanted = {"dest": str(file), "block": "line", "mode": "0600"}
    assert run(wanted, check=True)["changed"]
    assert not file.exists()
    assert run(wanted)["changed"]
    assert (file.read_text(), mode(file)) == ("# BEGIN slipway\nline\n# END slipway\n", 0o600)
    assert not run(wanted)["changed"]


def test_a_file_with_a_refused_block_stays_as_it_was(run, file):
    file.parent.mkdir(parents=True)
    file.write_text("theirs\n")
    assert "is refused" in run({"dest": str(file), "block": "x", "validate": "grep -q good %s"})["msg"]
    assert file.read_text() == "theirs\n"


def made(file: Path, more: str = "true") -> dict:
    """An entry whose command writes the file and a line about it, and then does more."""
    return {"dest": str(file), "make": ["sh", "-c", f'echo made | tee -a "$1.log" > "$1"; {more}', "sh", str(file)]}


def test_what_is_missing_is_made_once(run, file):
    first = run(made(file))
    assert first["changed_files"] == [str(file)]
    assert first["diff"][0]["after"] == "what sh makes\n"
    assert not run(made(file))["changed"]
    assert Path(f"{file}.log").read_text() == "made\n"


def test_what_is_there_is_not_made_whatever_it_is(run, file):
    run({"dest": str(file), "content": "other", "mode": "0600"})
    assert not run(made(file))["changed"]
    assert (file.read_text(), mode(file)) == ("other", 0o600)


def test_a_check_does_not_make_what_it_says_is_missing(run, file):
    assert run(made(file), check=True)["changed_files"] == [str(file)]
    assert not file.parent.exists()


def test_a_command_that_fails_is_a_refusal(run, file):
    run({"dest": str(file), "content": "old"})
    key = file.with_name("key")
    said = run({"dest": str(file), "content": "new"}, made(key, "echo no luck >&2; false"))
    assert said["failed"]
    assert "key is refused, and nothing was written" in said["msg"]
    assert "no luck" in said["msg"]
    assert file.read_text() == "old"
    assert not key.exists()


def test_a_command_that_makes_nothing_is_a_refusal(run, file):
    run({"dest": str(file), "content": "old"})
    said = run({"dest": str(file), "content": "new"}, {"dest": str(file.with_name("key")), "make": ["true"]})
    assert "key is refused" in said["msg"]
    assert file.read_text() == "old"


@pytest.mark.parametrize("entry", [{"content": "new", "validate": "no-such-program %s"}, {"make": ["no-such-program"]}])
def test_a_program_that_is_missing_is_a_refusal_too(run, file, entry):
    run({"dest": str(file), "content": "old"})
    said = run({"dest": str(file), "content": "new"}, {"dest": str(file.with_name("b.conf"))} | entry)
    assert "no-such-program" in said["msg"]
    assert [path.name for path in file.parent.iterdir()] == ["a.conf"]
    assert file.read_text() == "old"


@pytest.mark.parametrize("wanted", [{"content": "text"}, {"link": "/"}])
def test_a_directory_in_the_way_leaves_nothing_beside_it(run, tmp_path, wanted):
    (tmp_path / "taken/below").mkdir(parents=True)
    assert "is refused" in run({"dest": str(tmp_path / "taken")} | wanted)["msg"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "tmp") == ["taken"]


def test_a_block_leaves_a_stray_beginning_and_other_line_ends_alone(run, file):
    file.parent.mkdir(parents=True)
    before = b"one\r\n# BEGIN slipway\ntwo\xff\n"
    file.write_bytes(before)
    for block in ("first", "second"):
        run({"dest": str(file), "block": block})
    assert file.read_bytes() == before + b"# BEGIN slipway\nsecond\n# END slipway\n"


def test_a_block_is_written_to_what_a_link_leads_to(run, file):
    file.parent.mkdir(parents=True)
    file.with_name("real").write_text("one\n")
    file.symlink_to("real")
    run({"dest": str(file), "block": "two"})
    assert file.is_symlink()
    assert file.read_text() == "one\n# BEGIN slipway\ntwo\n# END slipway\n"


def test_a_file_is_brought_into_force_each_time(run, file):
    log = file.with_name("log")
    wanted = {"dest": str(file), "content": "text\n", "load": f"sh -c 'cat %s >> {log}'"}
    assert run(wanted, check=True)["changed"]
    assert not log.exists()
    assert run(wanted)["changed"]
    assert log.read_text() == "text\n"
    assert not run(wanted)["changed"]
    assert log.read_text() == "text\ntext\n"
    assert not run(wanted, check=True)["changed"]
    assert log.read_text() == "text\ntext\n"


def test_nothing_is_brought_into_force_before_all_is_in_place(run, file):
    last = file.with_name("last")
    first = {"dest": str(file), "content": "text", "load": f"test -e {last}"}
    assert run(first, {"dest": str(last), "content": "text"})["changed"]
    bad = {"dest": str(last), "content": "other", "validate": "false %s"}
    assert "last is refused" in run(first | {"load": "false"}, bad)["msg"]


def test_what_cannot_be_brought_into_force_ends_it(run, file):
    said = run({"dest": str(file), "content": "text", "load": "sh -c 'echo no such table >&2; false'"})
    assert said["failed"]
    assert "a.conf could not be brought into force: no such table" in said["msg"]


def test_what_was_somebodys_is_kept_once(run, tmp_path):
    file, copy = tmp_path / "a.conf", tmp_path / "a.conf.before-slipway"
    file.write_text("theirs\n")
    file.chmod(0o600)
    for text in ("# Ansible managed\n1\n", "# Ansible managed\n2\n"):
        run({"dest": str(file), "content": text, "backup": True})
    assert (copy.read_text(), mode(copy), file.read_text()) == ("theirs\n", 0o600, "# Ansible managed\n2\n")
    file.write_text("theirs again\n")
    run({"dest": str(file), "content": "", "backup": True})
    assert (copy.read_text(), file.exists()) == ("theirs\n", False)


def test_a_copy_is_not_where_nginx_reads_everything(run, tmp_path):
    file = tmp_path / "sites-enabled/shop"
    for directory in ("sites-enabled", "sites-available"):
        (tmp_path / directory).mkdir()
    file.write_text("theirs\n")
    run({"dest": str(file), "content": "ours\n", "backup": True})
    assert [path.name for path in file.parent.iterdir()] == ["shop"]
    assert (tmp_path / "sites-available/shop.before-slipway").read_text() == "theirs\n"


def test_a_packages_own_file_needs_no_copy(run, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "is_pristine", lambda path: True)
    file = tmp_path / "a.conf"
    file.write_text("Debian's\n")
    run({"dest": str(file), "content": "ours\n", "backup": True})
    assert [path.name for path in tmp_path.iterdir()] == ["a.conf"]


def test_a_file_whose_content_is_somebody_elses_is_made_or_closed(run, file):
    wanted = {"dest": str(file), "keep": True, "mode": "0640"}
    assert run(wanted)["changed"]
    assert (file.read_text(), mode(file)) == ("", 0o640)
    file.write_text("a line\n")
    file.chmod(0o644)
    said = run(wanted)
    assert (said["changed"], said["diff"][0]["before"]) == (True, "")
    assert (file.read_text(), mode(file), run(wanted)["changed"]) == ("a line\n", 0o640, False)


def test_a_link_is_no_file_to_be_kept(run, file, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("secret")
    victim.chmod(0o644)
    file.parent.mkdir(parents=True)
    file.symlink_to(victim)
    assert run({"dest": str(file), "keep": True, "mode": "0600"})["failed"]
    assert mode(victim) == 0o644


def test_a_users_number_stands_for_its_name(run, file, monkeypatch):
    numbers = {"shop": 998}
    monkeypatch.setattr(files.pwd, "getpwnam", lambda name: type("User", (), {"pw_uid": numbers[name]}))
    wanted = {"dest": str(file), "content": "meta skuid {uid of shop} goto app }\n"}
    run(wanted)
    assert file.read_text() == "meta skuid 998 goto app }\n"
    numbers["shop"] = 4242
    assert run(wanted)["changed"]
    assert "4242" in file.read_text()


def test_a_user_that_is_missing_is_said_and_nothing_is_written(run, file):
    said = run({"dest": str(file), "content": "{uid of nobody-has-this}"})
    assert said["failed"] and "nobody-has-this is no user or group" in said["msg"]
    assert not file.exists()
    assert run({"dest": str(file), "content": "{uid of nobody-has-this}"}, check=True)["changed"]


def test_a_file_is_on_the_disk_before_it_has_its_name(settle, tmp_path, monkeypatch):
    events: list[tuple[str, str]] = []
    sync, replace = os.fsync, Path.replace

    def synced(handle):
        events.append(("sync", os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    def replaced(path, target):
        events.append(("rename", str(path)))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    settle(files=[{"dest": str(tmp_path / "unit"), "content": "text"}])
    (first, content), (second, renamed), (third, directory) = events
    assert [first, second, third] == ["sync", "rename", "sync"]
    assert content == renamed and directory == str(tmp_path)
