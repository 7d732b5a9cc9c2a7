"""When the module units calls a unit stale, and when not."""

import os

import pytest

from .conftest import load

units = load("plugins/modules/units.py")


@pytest.fixture
def conf(tmp_path):
    """A configuration directory with one file."""
    (tmp_path / "a.conf").write_text("one")
    return tmp_path


def files(conf):
    return units.files_below([str(conf)])


def newest(conf):
    return max(map(units.changed_at, files(conf)))


def test_timestamp_keeps_microseconds():
    text = "Sun 2026-11-22 22:12:29.123456 UTC"
    assert units.parse_timestamp(text) == 1795385549_123456_000


@pytest.mark.parametrize("text", ["", "n/a"])
def test_no_timestamp_is_none(text):
    assert units.parse_timestamp(text) is None


def test_unit_started_after_the_change_is_fresh(conf):
    assert not units.is_stale(files(conf), newest(conf), None)


def test_file_changed_a_microsecond_after_the_start_is_stale(conf):
    assert units.is_stale(files(conf), newest(conf) - 1000, None)


def test_inactive_unit_is_not_stale(conf):
    assert not units.is_stale(files(conf), None, None)


def test_recorded_files_are_not_stale(conf):
    recorded = units.fingerprint(files(conf))
    assert not units.is_stale(files(conf), 0, recorded)


@pytest.mark.parametrize(
    "change",
    [
        lambda conf: (conf / "a.conf").write_text("two"),
        lambda conf: (conf / "b.conf").write_text(""),
        lambda conf: (conf / "a.conf").unlink(),
        lambda conf: (conf / "a.conf").chmod(0o600),
    ],
    ids=["content", "new file", "removed file", "mode"],
)
def test_change_after_the_record_is_stale(conf, change):
    recorded = units.fingerprint(files(conf))
    change(conf)
    assert units.is_stale(files(conf), 0, recorded)


def test_rewriting_the_same_content_after_the_record_is_not_stale(conf):
    recorded = units.fingerprint(files(conf))
    os.utime(conf / "a.conf")
    assert not units.is_stale(files(conf), 0, recorded)


def test_content_behind_a_link_counts(conf, tmp_path_factory):
    target = tmp_path_factory.mktemp("elsewhere") / "target"
    target.write_text("one")
    (conf / "link").symlink_to(target)
    recorded = units.fingerprint(files(conf))
    target.write_text("two")
    assert units.is_stale(files(conf), newest(conf) - 1, recorded)


def test_missing_paths_and_dangling_links_are_harmless(conf):
    (conf / "link").symlink_to("nowhere")
    found = units.files_below([str(conf), "/nonexistent/file"])
    assert conf / "link" in found
    assert units.fingerprint(found)


def test_a_record_from_before_the_last_start_does_not_count(tmp_path):
    stamp = tmp_path / "nginx.service.loaded"
    assert units.recorded_since(stamp, 0) is None
    stamp.write_text("abc")
    assert units.recorded_since(stamp, stamp.stat().st_mtime_ns) == "abc"
    assert units.recorded_since(stamp, stamp.stat().st_mtime_ns + 1) is None
