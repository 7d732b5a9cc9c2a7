"""Where an app's files come from, and which of them are the app's."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible.module_utils.slipway_app import source, worktree
from ansible.module_utils.slipway_app.errors import AppError


@pytest.fixture
def repository(tree, git):
    """A repository with two commits, a tag and a branch."""
    path = tree({"app.py": "one", "run.sh": "#!/bin/sh\n", ".gitignore": "*.log\n"}, "repository")
    (path / "run.sh").chmod(0o755)
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "one")
    git(path, "tag", "v1")
    git(path, "branch", "old")
    (path / "app.py").write_text("two")
    git(path, "commit", "--quiet", "-am", "two")
    return path


@pytest.mark.parametrize(
    "url",
    ["https://example.org/a.git", "ssh://git@example.org/a", "git@example.org:team/a.git", "file:///srv/a.git"],
)
def test_git_urls(url):
    assert source.is_git_url(url)


@pytest.mark.parametrize("path", [".", "../app", "/srv/app", "~/app", "apps/shop", "C:app", "./a:b"])
def test_directories(path):
    assert not source.is_git_url(path)


def test_relative_directory_is_taken_from_the_base(tree, tmp_path):
    path = tree({"app.py": ""})
    assert source.locate("app", "", tmp_path / "cache", tmp_path) == (path, "")


@pytest.mark.parametrize(
    ("asked", "version", "message"),
    [
        ("", "", "^app_source: it is not set.*Expected: a directory"),
        ("nowhere", "", "^app_source: there is no directory .*/nowhere"),
        ("app", "v1", "^app_version: it is set to 'v1', but .* is no git repository"),
        ("file:///nonexistent/a.git", "", "^app_source: the repository file:///nonexistent/a.git cannot be read"),
    ],
)
def test_what_cannot_be_found_is_refused_by_name(tree, tmp_path, asked, version, message):
    tree({"app.py": ""})
    with pytest.raises(AppError, match=message):
        source.locate(asked, version, tmp_path / "cache", tmp_path)


@pytest.mark.parametrize(("version", "content"), [("", "two"), ("main", "two"), ("v1", "one"), ("old", "one")])
def test_ref_of_a_repository(repository, git, tmp_path, version, content):
    path, commit = source.fetch(f"file://{repository}", version, tmp_path / "cache")
    assert (path / "app.py").read_text() == content
    assert commit == git(repository, "rev-parse", version or "HEAD")
    assert os.access(path / "run.sh", os.X_OK)


def test_abbreviated_commit(repository, git, tmp_path):
    commit = git(repository, "rev-parse", "v1")
    assert source.fetch(f"file://{repository}", commit[:8], tmp_path / "cache")[1] == commit


def test_new_commit_is_fetched_and_a_moved_tag_followed(repository, git, tmp_path):
    source.fetch(f"file://{repository}", "v1", tmp_path / "cache")
    (repository / "app.py").write_text("three")
    git(repository, "commit", "--quiet", "-am", "three")
    git(repository, "tag", "--force", "v1")
    path, _commit = source.fetch(f"file://{repository}", "v1", tmp_path / "cache")
    assert (path / "app.py").read_text() == "three"


def test_ref_that_is_not_there_is_refused(repository, tmp_path):
    with pytest.raises(AppError, match="^app_version: the repository .* has no ref 'v9'.*a branch, tag or commit"):
        source.fetch(f"file://{repository}", "v9", tmp_path / "cache")


def test_password_in_a_url_is_not_repeated(tmp_path):
    with pytest.raises(AppError) as caught:
        source.fetch("https://user:hunter2@localhost:1/a.git", "", tmp_path / "cache")
    assert "hunter2" not in str(caught.value)
    assert "***@localhost" in str(caught.value)


def test_local_repository_at_a_version(repository, tmp_path):
    path, commit = source.locate(str(repository), "v1", tmp_path / "cache", tmp_path)
    assert (path / "app.py").read_text() == "one"
    assert len(commit) == 40


def test_work_tree_is_what_git_would_take(repository):
    (repository / "debug.log").write_text("ignored")
    (repository / "new.py").write_text("not yet added")
    (repository / ".env").write_text("SECRET_KEY=x")
    assert source.files(repository) == [".gitignore", "app.py", "new.py", "run.sh"]


def test_file_that_was_removed_but_not_committed_is_none(repository):
    (repository / "app.py").unlink()
    assert "app.py" not in source.files(repository)


def test_app_below_the_top_of_a_repository(repository):
    (repository / "shop").mkdir()
    (repository / "shop/app.py").write_text("")
    assert source.files(repository / "shop") == ["app.py"]


def test_directory_without_git_leaves_out_what_is_never_deployed(tree, monkeypatch):
    path = tree(
        {
            "app.py": "",
            "package/data.txt": "",
            "package/__pycache__/a.cpython-311.pyc": "",
            ".venv/bin/python": "",
            "environment/pyvenv.cfg": "",
            "environment/lib/x.py": "",
            "node_modules/a/index.js": "",
            ".env": "SECRET_KEY=x",
            "app.egg-info/PKG-INFO": "",
            ".python-version": "3.11",
        }
    )
    assert source.files(path) == [".python-version", "app.py", "package/data.txt"]


def test_links_are_files_and_pipes_are_not(tree):
    path = tree({"app.py": "", "data/a.txt": ""})
    (path / "link.py").symlink_to("app.py")
    (path / "folder").symlink_to("data")
    (path / "dangling").symlink_to("nowhere")
    os.mkfifo(path / "pipe")
    assert source.files(path) == ["app.py", "dangling", "data/a.txt", "folder", "link.py"]
    assert source.digest(path, source.files(path))


@pytest.fixture
def replaced(repository, git, tmp_path):
    """A repository whose directory ``data``, with a tracked file in it, is a link now."""

    def replace(target):
        (repository / "data").mkdir()
        (repository / "data/motd").write_text("the app's own")
        git(repository, "add", ".")
        git(repository, "commit", "--quiet", "-m", "data")
        (repository / "data").rename(tmp_path / "former")
        (repository / "data").symlink_to(target)
        return repository

    return replace


@pytest.mark.parametrize("ignored", [False, True])
def test_tracked_file_below_a_link_out_of_the_app_is_named(replaced, ignored):
    path = replaced("/etc")
    if ignored:
        (path / ".gitignore").write_text("data\n")
    with pytest.raises(
        AppError, match=r"data in .* is a link to /etc, which leads out .*git tracks data/motd below it"
    ):
        source.check_links(path, "shop")
    assert "data/motd" not in source.files(path)


def test_tracked_directory_that_is_a_link_within_the_app_is_shipped_as_the_link(replaced):
    path = replaced("other")
    (path / "other").mkdir()
    (path / "other/motd").write_text("the other one")
    source.check_links(path, "shop")
    assert source.files(path) == [".gitignore", "app.py", "data", "other/motd", "run.sh"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/etc/shadow", "x in .* is a link to /etc/shadow, which leads out of the app"),
        ("../outside", "x in .* is a link to ../outside, which leads out"),
        ("a/../../outside", "leads out"),
        ("..", "leads out"),
        ("/srv/other/shared/uploads", "leads out"),
        ("/srv/shop/shared/../../other", "leads out"),
        ("{here}/a/b.txt", "leads out"),  # on the machine it is in another place
        ("debug.log", "x in .* is a link to debug.log, which is not shipped"),
        (".env", "which is not shipped"),
        ("a/b.txt", None),
        ("a", None),
        (".", None),
        ("nowhere", None),
        ("/srv/shop/shared/uploads", None),
    ],
)
def test_links_lead_to_what_is_shipped_or_outlives_releases(repository, target, said):
    for name in ("debug.log", ".env"):
        (repository / name).write_text("")
    (repository / "a").mkdir()
    (repository / "a/b.txt").write_text("")
    (repository / "x").symlink_to(target.format(here=repository))
    if said is None:
        source.check_links(repository, "shop")
        assert "x" in source.files(repository)
    else:
        with pytest.raises(AppError, match=said):
            source.check_links(repository, "shop")


@pytest.mark.parametrize("target", ["/srv/shop/shared/uploads", "nowhere", "/etc/shadow"])
def test_static_files_are_the_apps_own(tree, target):
    path = tree({"static/a.css": "", "css/b.css": "", "other": ""})
    (path / "static/b.css").symlink_to("../css/b.css")
    (path / "elsewhere").symlink_to(target)
    source.check_published(path, source.files(path), "static")
    (path / "static/x").symlink_to(target)
    with pytest.raises(AppError, match=f"static/x in .* is a link to {target}, which leads (out|to nothing)"):
        source.check_published(path, source.files(path), "static")


# Nothing is left out in silence
@pytest.fixture
def library(tree, git):
    """A repository that others have as a submodule."""
    path = tree({"page.html": "a page"}, "library")
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "page")
    return path


@pytest.fixture
def with_submodule(repository, library, git):
    """A repository with templates that are a submodule, whose address is relative."""
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library", "templates")
    git(repository, "commit", "--quiet", "-m", "templates")
    return repository


def test_a_submodule_of_a_work_tree_is_shipped(with_submodule):
    assert {"templates/page.html", ".gitmodules"} <= set(source.files(with_submodule))


def test_a_submodule_of_a_git_url_is_shipped(with_submodule, tmp_path):
    path, _commit = source.fetch(f"file://{with_submodule}", "", tmp_path / "cache")
    assert (path / "templates/page.html").read_text() == "a page"


def test_a_submodule_that_cannot_be_had_is_named(with_submodule, library, tmp_path):
    library.rename(tmp_path / "gone")
    with pytest.raises(
        AppError, match="the submodule templates cannot be had: the repository .*/library cannot be read"
    ):
        source.fetch(f"file://{with_submodule}", "", tmp_path / "cache")


def test_a_submodule_that_is_not_checked_out_is_named(with_submodule, git, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(with_submodule), str(clone))
    with pytest.raises(AppError, match="^app_source: templates in .*/clone is a submodule that is not checked out"):
        source.files(clone)
    (clone / "templates").rmdir()  # removed, and not committed yet
    assert "app.py" in source.files(clone)


@pytest.mark.parametrize(
    ("url", "of", "expected"),
    [
        ("../library", "file:///srv/git/app", "file:///srv/git/library"),
        ("../../other/library.git", "https://git.example/team/app.git", "https://git.example/other/library.git"),
        ("../library.git", "git@git.example:team/app.git", "git@git.example:team/library.git"),
        ("https://git.example/a.git", "git@git.example:team/app.git", "https://git.example/a.git"),
        ("../library", "/srv/git/app", "/srv/git/library"),
        ("/srv/git/library", "file:///srv/git/app", "/srv/git/library"),
    ],
)
def test_the_address_of_a_submodule(url, of, expected):
    assert source._absolute(url, of) == expected


@pytest.mark.parametrize("url", ["/etc", "file:///etc", "ext::sh -c x"])
def test_a_submodule_of_this_computer_is_refused_where_the_app_is_from_elsewhere(url):
    with pytest.raises(AppError, match="is a directory of this computer"):
        source._absolute(url, "https://git.example/team/app.git")


def test_a_repository_below_that_is_no_submodule_is_shipped(repository, git, tree):
    inner = tree({"repository/vendored/code.py": "", "repository/vendored/skip.log": ""}, ".") / "repository/vendored"
    git(inner, "init", "--quiet")
    (inner / ".gitignore").write_text("*.log\n")
    assert {"vendored/code.py", "vendored/.gitignore"} <= set(source.files(repository))
    assert "vendored/skip.log" not in source.files(repository)


def test_what_is_tracked_is_shipped_whatever_its_name(repository, git, tree):
    tree(
        {
            "repository/.env": "A=1",
            "repository/node_modules/a/index.js": "",
            "repository/app.egg-info/PKG-INFO": "",
            "repository/venv/pyvenv.cfg": "",
        },
        ".",
    )
    names = {".env", "node_modules/a/index.js", "app.egg-info/PKG-INFO"}
    assert not names & set(source.files(repository))
    git(repository, "add", "--force", ".")
    assert names <= set(source.files(repository))


def test_an_untracked_virtual_environment_is_never_shipped(repository, tree):
    tree({"repository/some-env/pyvenv.cfg": "", "repository/some-env/lib/x.py": "", "repository/new.py": ""}, ".")
    assert [name for name in source.files(repository) if "some-env" in name] == []
    assert "new.py" in source.files(repository)


@pytest.mark.parametrize("broken", ["HEAD", "owner"])
def test_a_repository_that_git_cannot_read_stops_the_run(repository, broken, monkeypatch):
    """What git ignores, databases and settings among it, would be shipped if nobody asked git."""
    (repository / "debug.log").write_text("ignored")
    if broken == "HEAD":
        (repository / ".git/HEAD").unlink()
    else:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(AppError, match=r"^app_source: git cannot read the repository in .*/repository, so that nobody"):
        source.files(repository)


def test_a_name_that_is_not_utf_8_is_named(repository):
    with open(os.fsencode(repository) + b"/\xff.txt", "w"):
        pass
    with pytest.raises(AppError, match=r"the name b'\\xff.txt' in .* is not UTF-8"):
        source.files(repository)


def test_a_pointer_of_git_lfs_is_named(tree):
    path = tree({"a.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "b.txt": "version x"})
    with pytest.raises(AppError, match="^app_source: a.bin in .* is a pointer of Git LFS"):
        worktree.check_lfs(path, ["a.bin", "b.txt"])
    worktree.check_lfs(path, ["b.txt"])


def test_digest_does_not_depend_on_times_place_or_group_bits(tree):
    first, second = (tree({"app.py": "x", "b/c.py": "y"}, name) for name in ("one", "two"))
    os.utime(first / "app.py", (0, 0))
    (second / "app.py").chmod(0o664)
    assert source.digest(first, source.files(first)) == source.digest(second, source.files(second))


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "app.py").write_text("other"),
        lambda path: (path / "app.py").chmod(0o755),
        lambda path: (path / "app.py").rename(path / "other.py"),
        lambda path: (path / "new.py").write_text(""),
        lambda path: ((path / "app.py").unlink(), (path / "app.py").symlink_to("b")),
    ],
    ids=["content", "executable", "name", "new file", "link"],
)
def test_digest_follows_every_change_that_counts(tree, change):
    path = tree({"app.py": "x", "b": "x"})
    before = source.digest(path, source.files(path))
    change(path)
    assert source.digest(path, source.files(path)) != before


def test_digest_tells_neighbours_apart(tree):
    """Moving bytes from one file to the next, or into a name, is a change."""
    one, two = tree({"a": "xy", "b": ""}, "one"), tree({"a": "x", "b": "y"}, "two")
    assert source.digest(one, ["a", "b"]) != source.digest(two, ["a", "b"])


def test_lock_makes_its_directory(tmp_path):
    with source.locked(tmp_path / "a" / "b.lock"):
        assert (tmp_path / "a" / "b.lock").exists()


def test_the_configuration_of_a_work_tree_has_git_run_nothing(tree, tmp_path):
    path = tree({"app.py": ""})
    subprocess.run(["git", "init", "--quiet"], cwd=path, check=True)
    for name in ("core.fsmonitor", "core.sshCommand", "core.editor"):
        subprocess.run(["git", "config", name, f"touch {tmp_path}/ran; true"], cwd=path, check=True)
    assert source.files(path) == ["app.py"]
    assert not (tmp_path / "ran").exists()


def test_another_repository_in_the_environment_is_not_the_app_s(tree, tmp_path, monkeypatch):
    other = tree({"other.py": ""}, "other")
    subprocess.run(["git", "init", "--quiet"], cwd=other, check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert source.files(tree({"app.py": ""}, "app")) == ["app.py"]
