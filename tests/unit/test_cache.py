"""The control node's cache: what was not used for long goes, and nothing else does."""

from __future__ import annotations

import os
import time

from ansible.module_utils.slipway_app import cache

DAY = 86400


def filled(tmp_path):
    """Make a cache with an old and a new entry of each kind."""
    for name, age in (("old", 40), ("new", 2)):
        for kind in ("git", "src"):
            (tmp_path / kind / name).mkdir(parents=True)
            (tmp_path / kind / name / "file").write_text("")
        (tmp_path / "bundles").mkdir(exist_ok=True)
        (tmp_path / "bundles" / f"{name}.tar.gz").write_text("")
        for path in (tmp_path / "git" / name, tmp_path / "src" / name, tmp_path / "bundles" / f"{name}.tar.gz"):
            os.utime(path, (time.time() - age * DAY,) * 2)
    for lock in (tmp_path / "bundles/lock", tmp_path / "git/old.lock", tmp_path / "else"):
        lock.write_text("")
        os.utime(lock, (1, 1))
    return tmp_path


def names(path):
    return sorted(str(each.relative_to(path)) for each in path.rglob("*") if each.name != "file")


def test_what_nobody_has_used_for_long_goes(tmp_path):
    made = filled(tmp_path)
    gone = cache.prune(made, 30)
    assert sorted(str(path.relative_to(made)) for path in gone) == ["bundles/old.tar.gz", "git/old", "src/old"]
    left = ["bundles", "bundles/lock", "bundles/new.tar.gz", "else", "git", "git/new", "git/old.lock", "pruned"]
    assert names(made) == [*left, "src", "src/new"]


def test_what_was_used_stays(tmp_path):
    made = filled(tmp_path)
    cache.used(made / "src/old")
    assert made / "src/old" not in cache.prune(made, 30)
    cache.used(made / "nowhere")


def test_once_a_day_is_enough_and_never_is_allowed(tmp_path):
    made = filled(tmp_path)
    assert cache.prune(made, 0) == []
    (made / "pruned").touch()
    assert cache.prune(made, 30) == []
    os.utime(made / "pruned", (time.time() - 2 * DAY,) * 2)
    assert len(cache.prune(made, 30)) == 3
    assert cache.prune(tmp_path / "nowhere", 30) == []
