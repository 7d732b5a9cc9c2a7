"""Turning a cron line's five fields into what a systemd timer understands.

The fields are those of crontab(5), the result is that of systemd.time(7), section Calendar Events.
"""

from __future__ import annotations

import re

from ansible.module_utils.slipway_app.errors import AppError

_FORM = '"minute hour day month weekday", e.g. "*/15 * * * *" or "30 3 * * mon-fri", or @hourly, @daily, @weekly'
_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def calendars(line: str) -> list[str]:
    """Return the calendar events of a cron line: two where it names both a day of the month and a day of the week.

    Raises AppError where the line is none.
    """
    fields = _WORDS.get(line.strip().lower(), line).split()
    if len(fields) != 5:
        raise AppError(f"the schedule {line!r} is no cron line.", "app_scheduled", _FORM)
    try:
        minutes, hours = (_values(field, 0, top) for field, top in ((fields[0], 59), (fields[1], 23)))
        days, months = _values(fields[2], 1, 31), _values(fields[3], 1, 12, _MONTHS, 1)
        weekdays = sorted({day % 7 for day in _values(fields[4], 0, 7, _DAYS, 0)})
    except ValueError as error:
        raise AppError(f"the schedule {line!r} is no cron line: {error}.", "app_scheduled", _FORM) from error
    date = f"*-{_list(months, 12)}-"
    time = f"{_list(hours, 24)}:{_list(minutes, 60)}:00"
    week = ",".join(_DAYS[day].capitalize() for day in weekdays)
    by_day, by_week = len(days) < 31, len(weekdays) < 7
    if by_day and by_week:
        return [f"{date}{_list(days, 31)} {time}", f"{week} {date}* {time}"]
    return [(f"{week} " if by_week else "") + f"{date}{_list(days, 31)} {time}"]


def _values(field: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> list[int]:
    """Return the values that a field means; ValueError in words where it means none."""
    found: set[int] = set()
    for part in field.lower().split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdigit() and int(step) > 0):
            raise ValueError(f"{part!r} has no step")
        begin, dash, end = span.partition("-")
        if begin == "*" and not dash:
            start, stop = low, high
        else:
            start = _value(begin, names, first)
            stop = _value(end, names, first) if dash else (high if slash else start)
        if not low <= start <= stop <= high:
            raise ValueError(f"{part!r} is not within {low}-{high}")
        found |= set(range(start, stop + 1, int(step or 1)))
    return sorted(found)


def _value(word: str, names: tuple[str, ...], first: int) -> int:
    if word in names:
        return names.index(word) + first
    if not re.fullmatch(r"\d{1,2}", word):
        raise ValueError(f"{word!r} is no number")
    return int(word)


def _list(values: list[int], every: int) -> str:
    """Return values as a list, or "*" where they are all."""
    return "*" if len(values) == every else ",".join(f"{value:02}" for value in values)
