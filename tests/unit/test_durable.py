"""What a power cut may undo: each name that promises something is given after its content is on the disk.

The order of the calls is judged here, by a record of them; that the calls keep their word is the kernel's affair.
"""

from __future__ import annotations

import json
import os
import tarfile

import pytest
from ansible.module_utils.slipway_release import cache, durable, history, host
from ansible.module_utils.slipway_release.engine import Operation
from ansible.module_utils.slipway_release.layout import Layout
from ansible.module_utils.slipway_release.release import Release

pytestmark = pytest.mark.usefixtures("machine")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")
MANIFEST = {
    "id": "0123456789ab",
    "web": "exec gunicorn wsgi:app",
    "wsgi": "",
    "processes": {},
    "migrate": "",
    "static": [],
    "roots": ["."],
    "dependencies": "d",
    "python": "3.11",
}


@pytest.fixture
def record(monkeypatch):
    """What was renamed and what was put on the disk, in order: ("sync", path), ("tree", path), ("rename", a, b)."""
    found: list[tuple] = []
    sync, sync_tree, rename = durable.sync, durable.sync_tree, os.rename
    monkeypatch.setattr(durable, "sync", lambda path: (sync(path), found.append(("sync", str(path)))))
    monkeypatch.setattr(durable, "sync_tree", lambda path: (sync_tree(path), found.append(("tree", str(path)))))

    def renamed(old, new, **more):
        rename(old, new, **more)
        found.append(("rename", str(old), str(new)))

    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr("pathlib.os.rename", renamed)
    return found


@pytest.fixture(autouse=True)
def group(monkeypatch):
    """The group of the app."""
    monkeypatch.setattr("grp.getgrnam", lambda app: type("Group", (), {"gr_gid": 1234}))


def kept_names(record):
    """Return the renames, each with what was on the disk before it and what was put there right after it."""
    return [
        (event[1], event[2], record[:number], record[number + 1 : number + 2])
        for number, event in enumerate(record)
        if event[0] == "rename"
    ]


def shipped(root, name, top):
    """Put an archive with one file where shipped ones are; return what the control node says of it."""
    import hashlib

    source = root / "made"
    (source / top).mkdir(parents=True)
    (source / top / "app.py").write_text("app = 1\n")
    file = root / "incoming" / name
    with tarfile.open(file, "w:gz") as archive:
        archive.add(source / top / "app.py", f"{top}/app.py")
    return {"name": name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "digest": "d", "bytes": 1}


@pytest.fixture
def unpacked():
    """Unpacks a release of two archives, under another name each time."""
    made: dict = {}

    def unpack(name):
        release = Release("shop", name)
        if not made:
            made["venv"] = shipped(release.root, "venv.tar.gz", "venv")
            made["source"] = shipped(release.root, "source.tar.gz", "src")
        Layout(release, dict(MANIFEST)).unpack(made, 'A="1"\n', [])
        return release

    return unpack


@root_only
def test_a_release_and_the_cache_get_their_names_when_all_of_them_is_on_the_disk(unpacked, record):
    release = unpacked("0123456789ab")
    trees = {str(release.directory): release.directory.parent, str(release.root / "cache/d"): release.root / "cache"}
    seen = [(old, new, before, after) for old, new, before, after in kept_names(record) if new in trees]
    assert {new for _old, new, *_ in seen} == set(trees)
    for old, new, before, after in seen:
        assert before[-1] == ("tree", old)
        assert after == [("sync", str(trees[new]))]


@root_only
def test_a_file_that_stands_for_itself_is_on_the_disk_before_it_is_named(tmp_path, record):
    host.write(tmp_path / "unit", "text", 0o644)
    part = str(tmp_path / "unit.part")
    assert record == [("sync", part), ("rename", part, str(tmp_path / "unit")), ("sync", str(tmp_path))]


def test_the_switch_is_noted_before_it_is_made_and_on_the_disk_before_anything_follows(record, monkeypatch):
    monkeypatch.setattr(host, "enable", lambda *units: record.append(("enable", *units)))
    operation = Operation({"app": "shop", "operation": "deploy", "id": "0123456789ac", "by": "ann", "silent": True})
    operation.old = Release("shop", "0123456789ab")
    operation.switch()
    root = str(operation.root)
    assert record == [
        ("sync", f"{root}/unconfirmed.json.part"),
        ("rename", f"{root}/unconfirmed.json.part", f"{root}/unconfirmed.json"),
        ("sync", root),
        ("enable", "shop-web@0123456789ac.socket", "shop-web@0123456789ac.service"),
        ("rename", f"{root}/current.part", f"{root}/current"),
        ("sync", root),
    ]


def test_the_history_is_on_the_disk_before_the_note_goes(record, tmp_path):
    history.append(tmp_path / "history.jsonl", {"id": "0123456789ab"})
    assert record == [("sync", str(tmp_path))]


@root_only
@pytest.mark.parametrize("poison", ["emptied", "missing", "unsealed"])
def test_a_poisoned_cache_heals_itself(unpacked, poison):
    entry = unpacked("0123456789ab").root / "cache/d"
    assert cache.is_whole(entry)
    if poison == "emptied":
        os.truncate(entry / "venv/app.py", 0)
    elif poison == "missing":
        (entry / "venv/app.py").unlink()
    else:
        (entry / "sizes.json").unlink()  # as an older version has left it
    assert not cache.is_whole(entry)
    release = unpacked("0123456789ac")
    assert (release.directory / "venv/app.py").read_text() == "app = 1\n"
    assert cache.is_whole(entry)


@root_only
def test_what_is_sealed_is_every_file_and_its_size(unpacked):
    entry = unpacked("0123456789ab").root / "cache/d"
    sealed = json.loads((entry / "sizes.json").read_text())
    found = {str(path.relative_to(entry)): path.stat().st_size for path in entry.rglob("*") if path.is_file()}
    assert sealed == {name: size for name, size in found.items() if name != "sizes.json"}
    assert sealed["venv/app.py"] == 8
