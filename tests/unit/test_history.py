"""The table of an app's releases."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "roles/app/filter_plugins/app_history.py"
spec = importlib.util.spec_from_file_location("app_history", SOURCE)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
app_history = module.app_history


def line(**news: object) -> str:
    """Return a line of a history as a deploy writes it."""
    entry = {
        "when": "2026-11-23T01:00:00Z",
        "who": "ada@laptop",
        "what": "deploy",
        "result": "live",
        "id": "000000000001",
        "from": "",
        "ref": "",
        "why": "",
    }
    return json.dumps(entry | news) + "\n"


def test_the_newest_is_first_and_the_live_one_has_the_star():
    text = line(version="v1") + line(version="v2", id="000000000002", ref="main", changes=["code", "settings: A, B"])
    assert app_history(text, "000000000001").splitlines() == [
        "   version  when                  what    result  who         ref   id            changed",
        "   v2       2026-11-23T01:00:00Z  deploy  live    ada@laptop  main  000000000002  code, settings: A, B",
        "*  v1       2026-11-23T01:00:00Z  deploy  live    ada@laptop  -     000000000001  -",
    ]


def test_a_release_that_went_live_twice_has_one_star():
    text = line(version="v1") + line(version="v2", id="2") + line(version="v3", what="roll-back")
    assert [row.split()[:2] for row in app_history(text, "000000000001").splitlines() if row.startswith("*")] == [
        ["*", "v3"]
    ]


def test_a_failed_release_says_why_and_has_no_version():
    text = line(version="v1") + line(id="2", result="failed", why="start: it\n did not start " + "x" * 200)
    failed = app_history(text, "000000000001").splitlines()[1]
    assert failed.split()[:3] == ["-", "2026-11-23T01:00:00Z", "deploy"]
    assert "start: it did not start" in failed and failed.endswith("…") and len(failed) < 180


@pytest.mark.parametrize("torn", ["", '{"when": "2026', "null\n", "[1]\n", "\x00\x00\n", "\n"])
def test_lines_that_are_not_whole_are_left_out(torn):
    assert app_history(line(version="v1") + torn, "000000000001") == app_history(line(version="v1"), "000000000001")


@pytest.mark.parametrize("text", ["", "\n", '{"when": "20'])
def test_without_a_release_it_says_so(text):
    assert app_history(text) == "No release yet."


def test_a_live_release_is_named_where_the_table_does_not_show_it():
    text = line(version="v1") + line(version="v2", id="2")
    assert app_history(text, "000000000001", 1).splitlines()[2:] == [
        "   (1 older; -e limit=2 shows all)",
        "   * 000000000001 is live (further down).",
    ]
    assert app_history(text, "3").endswith("\n   * 3 is live (not in the history).")
    assert app_history(text).endswith("\n   No release is live.")
    assert app_history("", "3") == "No release yet; 3 is live, and the history is gone."


def test_no_entry_can_steer_a_terminal():
    shown = app_history(line(version="v1", ref="\x1b[31mred\rgone\ttab", who=None, extra={"a": 1}), "x")
    assert "\x1b" not in shown and "\r" not in shown and "\t" not in shown


def test_what_a_line_lacks_is_a_dash():
    assert app_history('{"id": "7"}\n', "7").splitlines()[1].split() == ["-"] * 6 + ["7", "-"]
