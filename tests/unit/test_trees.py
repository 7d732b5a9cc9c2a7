"""Root's way through trees that an app or its source has a say in: nothing that a link leads to outside is touched."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from ansible.module_utils.slipway_release import archives, trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")
SECRET = "root's own"

# Names that meet one another, and targets of links inside and outside.
NAMES = st.sampled_from(["a", "b", "c", "data", "x.css"])
TARGETS = st.sampled_from(
    [
        "a",
        "b",
        "../a",
        "../../outside",
        "../../outside/secret",
        "/outside/secret",
        "/",
        ".",
        "..",
        "c/../..",
        "b/c",
        "data",
    ]
)
ENTRIES = st.lists(
    st.tuples(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join),
        st.one_of(st.just(("file", "")), st.just(("directory", "")), st.tuples(st.just("link"), TARGETS)),
    ),
    max_size=12,
)
quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class World:
    """A directory for a tree, beside one that is nobody's business."""

    def __init__(self, top: Path) -> None:
        self.tree, self.outside = top / "tree/src", top / "outside"
        self.tree.mkdir(parents=True)
        self.outside.mkdir()
        (self.outside / "secret").write_text(SECRET)
        (self.outside / "secret").chmod(0o600)
        self.before = self.state()

    def state(self) -> dict:
        """Return all that is outside: content, mode, owner and number of links."""
        found = {}
        for path in [self.outside, *sorted(self.outside.rglob("*"))]:
            status = path.lstat()
            content = path.read_text() if path.is_file() else ""
            found[str(path)] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, content)
            if not path.is_dir():
                found[str(path)] += (status.st_nlink,)
        return found

    def target(self, said: str) -> str:
        """Return a link's target, in which /outside is this world's."""
        return str(self.outside) + said.removeprefix("/outside") if said.startswith("/outside") else said

    def lay_out(self, entries: list) -> None:
        """Make a tree as somebody may have it on his disk: what cannot be made is left out."""
        for name, (kind, target) in entries:
            path = self.tree / name
            try:
                if path.is_symlink() or any(parent.is_symlink() for parent in path.parents):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                if kind == "file":
                    path.write_text("the app's")
                elif kind == "directory":
                    path.mkdir()
                else:
                    path.symlink_to(self.target(target))
            except OSError:
                continue


@pytest.fixture
def world(tmp_path_factory):
    """Makes a new world for each example."""
    return lambda: World(tmp_path_factory.mktemp("world"))


def contents(top: Path) -> list[str]:
    """Return what the regular files below a directory say."""
    return [Path(folder, name).read_text() for folder, _folders, names in os.walk(top) for name in names]


@quick
@given(entries=ENTRIES)
def test_what_is_published_is_the_apps_own_and_nothing_is_a_link(world, entries):
    here = world()
    here.lay_out(entries)
    public = here.outside.parent / "public"
    with contextlib.suppress(trees.OutsideError, OSError):
        trees.publish(here.tree, "", public, lambda name: False)
    assert set(contents(public)) <= {"the app's"}
    assert not any(path.is_symlink() for path in public.rglob("*"))
    assert here.state() == here.before


@root_only
@quick
@given(entries=ENTRIES)
def test_what_is_given_to_the_app_is_the_tree_alone(world, entries):
    here = world()
    here.lay_out(entries)
    trees.give(here.tree, 1234)
    assert here.state() == here.before
    for folder, folders, names in os.walk(here.tree):
        for name in [*folders, *names]:
            status = os.lstat(os.path.join(folder, name))
            assert (status.st_uid, status.st_gid) == (0, 1234)
            assert stat.S_ISLNK(status.st_mode) or stat.S_IMODE(status.st_mode) in (0o750, 0o640)


@quick
@given(entries=ENTRIES)
def test_a_backup_has_links_as_links(world, entries):
    here = world()
    here.lay_out(entries)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        assert trees.pack(here.tree, archive, "shared") == []
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        found = {member.name for member in archive}
        read = [archive.extractfile(member).read() for member in archive if member.isreg()]
    assert found == {"shared", *(f"shared/{path.relative_to(here.tree)}" for path in here.tree.rglob("*"))}
    assert set(read) <= {b"the app's"}


def packed(entries: list, world: World) -> tarfile.TarFile:
    """Return an archive with these members, in this order, whatever they are to one another."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, (kind, target) in entries:
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            member.type = {
                "file": tarfile.REGTYPE,
                "directory": tarfile.DIRTYPE,
                "link": tarfile.SYMTYPE,
                "hard": tarfile.LNKTYPE,
                "pipe": tarfile.FIFOTYPE,
                "device": tarfile.CHRTYPE,
            }[kind]
            member.linkname = world.target(target)
            content = b"the app's" if kind == "file" else b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    raw.seek(0)
    return tarfile.open(fileobj=raw)


HOSTILE = st.lists(
    st.tuples(
        st.one_of(
            st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/".join(["src", *parts])),
            st.sampled_from(
                ["src", "../outside/new", "/outside/new", "src/../../outside/new", "other/a", "src/a/../b", ""]
            ),
        ),
        st.one_of(
            st.tuples(st.sampled_from(["file", "directory", "pipe", "device"]), st.just("")),
            st.tuples(st.sampled_from(["link", "hard"]), st.one_of(TARGETS, NAMES.map("src/{}".format))),
        ),
    ),
    max_size=10,
)


@quick
@given(entries=HOSTILE)
def test_an_archive_writes_below_its_directory_alone_and_brings_no_link_out_of_it(world, entries):
    here = world()
    try:
        with packed(entries, here) as archive:
            archives.extract(archive, here.tree, lambda name, to: False)
    except (archives.RefusedError, OSError, tarfile.TarError):
        assert here.state() == here.before
        return
    assert here.state() == here.before
    assert [path.name for path in here.tree.parent.iterdir()] == ["src"]
    for path in here.tree.rglob("*"):
        assert path.is_symlink() or path.is_dir() or path.is_file()
        assert Path(os.path.realpath(path)).is_relative_to(here.tree)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            [("src/data", ("link", "/outside")), ("src/data/motd", ("file", ""))],
            "src/data/motd is below src/data, .* link",
        ),
        ([("src/data", ("link", "/outside"))], "data is a link that leads out"),
        ([("src/a", ("link", "b/../../..")), ("src/b", ("link", "."))], "is a link that leads out"),
        ([("src", ("link", "/outside"))], "'src' is not below src/"),
        ([("src/a", ("file", "")), ("src/a", ("link", "/outside"))], "src/a is in it twice"),
        ([("src/a/b", ("file", "")), ("src/a", ("link", "."))], "src/a takes the place of a directory"),
        ([("src/a", ("directory", "")), ("src/a", ("file", ""))], "src/a takes the place of a directory"),
        ([("src/a", ("hard", "/outside/secret"))], "is not below src/"),
        ([("src/a", ("hard", "src/b"))], "hard link to src/b, which is not in it"),
        ([("src/../x", ("file", ""))], "is not below src/"),
        ([("etc/motd", ("file", ""))], "is not below src/"),
        ([("src/pipe", ("pipe", ""))], "neither a file, a directory nor a link"),
    ],
)
def test_a_member_that_has_no_business_there_is_named(world, entries, said):
    here = world()
    with packed(entries, here) as archive, pytest.raises(archives.RefusedError, match=said):
        archives.extract(archive, here.tree, lambda name, to: False)
    assert here.state() == here.before


def test_links_within_the_source_are_published_as_what_they_lead_to(world):
    here = world()
    (here.tree / "static").mkdir()
    (here.tree / "art").mkdir()
    (here.tree / "art/logo.svg").write_text("the app's")
    os.utime(here.tree / "art/logo.svg", (1, 1))
    (here.tree / "static/logo.svg").symlink_to("../art/logo.svg")
    (here.tree / "static/art").symlink_to("../art")
    public = here.outside.parent / "public"
    trees.publish(here.tree, "static", public, lambda name: False)
    assert sorted(path.name for path in public.rglob("*")) == ["art", "logo.svg", "logo.svg"]
    assert (public / "art/logo.svg").stat().st_mtime == 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/outside/secret", "static/x.css is a link that leads out of the app's source, to .*/outside/secret"),
        ("../../../outside/secret", "static/x.css is a link that leads out"),
        ("nowhere", "No such file or directory"),
        ("..", "static/x.css is a link to a directory that it is in"),
        (".", "static/x.css is a link to a directory that it is in"),
    ],
)
def test_a_link_that_cannot_be_published_is_named(world, target, said):
    here = world()
    (here.tree / "static").mkdir()
    (here.tree / "static/x.css").symlink_to(here.target(target))
    with pytest.raises((trees.OutsideError, OSError), match=said):
        trees.publish(here.tree, "static", here.outside.parent / "public", lambda name: False)


def test_a_directory_that_becomes_a_link_meanwhile_is_not_entered(world, monkeypatch):
    here = world()
    (here.tree / "a").mkdir()
    (here.tree / "a/x.css").write_text("the app's")
    listed = os.listdir

    def swap(directory: int) -> list[str]:
        names = listed(directory)
        if "a" in names and not (here.tree / "a").is_symlink():
            yielded = [*names]
            (here.tree / "a").rename(here.outside.parent / "moved")
            (here.tree / "a").symlink_to(here.outside)
            return yielded
        return names

    monkeypatch.setattr(os, "listdir", swap)
    assert [str(path) for path, *_ in trees.walk(here.tree)] == ["a"]


def test_a_pipe_in_the_tree_holds_nobody(world):
    here = world()
    os.mkfifo(here.tree / "x.css")
    with pytest.raises(OSError, match="neither a file nor a directory"):
        trees.publish(here.tree, "", here.outside.parent / "public", lambda name: False)
