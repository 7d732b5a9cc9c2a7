"""Cron lines as systemd's calendar events."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible.module_utils.slipway_app.cron import calendars
from ansible.module_utils.slipway_app.errors import AppError

LINES = {
    "* * * * *": ["*-*-* *:*:00"],
    "*/15 * * * *": ["*-*-* *:00,15,30,45:00"],
    "30 3 * * *": ["*-*-* 03:30:00"],
    "0 0 1 * *": ["*-*-01 00:00:00"],
    "0 9-17/4 * * mon-fri": ["Mon,Tue,Wed,Thu,Fri *-*-* 09,13,17:00:00"],
    "0 0 * * 7": ["Sun *-*-* 00:00:00"],
    "0 0 * * 5-7": ["Sun,Fri,Sat *-*-* 00:00:00"],
    "5 4 1,15 jan,jul *": ["*-01,07-01,15 04:05:00"],
    "0 12 13 * fri": ["*-*-13 12:00:00", "Fri *-*-* 12:00:00"],
    "10/20 * * * *": ["*-*-* *:10,30,50:00"],
    "@daily": ["*-*-* 00:00:00"],
    "@weekly": ["Sun *-*-* 00:00:00"],
}


@pytest.mark.parametrize("line", LINES)
def test_a_cron_line_is_the_same_times_for_systemd(line):
    assert calendars(line) == LINES[line]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not on this machine")
@pytest.mark.parametrize("line", LINES)
def test_systemd_understands_it(line):
    for event in calendars(line):
        assert subprocess.run(["systemd-analyze", "calendar", event], capture_output=True).returncode == 0, event


@pytest.mark.parametrize("line", ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "a * * * *",
                                  "*/0 * * * *", "5-1 * * * *", "@reboot", "* * * * mon-", "1--2 * * * *"])  # fmt: skip
def test_what_is_no_cron_line_is_refused_with_the_form(line):
    with pytest.raises(AppError, match="is no cron line") as refused:
        calendars(line)
    assert refused.value.variable == "app_scheduled"
