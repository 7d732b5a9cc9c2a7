"""How a new release is compared with the one before it, by the web server's log; the logs are generated."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from ansible.module_utils.slipway_release import watch
from ansible.module_utils.slipway_release.traffic import Traffic, chance, requests, template


def line(status, upstream="0.010/{}", request="GET /x?y=[1] HTTP/1.1"):
    """Return a line of the access log."""
    said = upstream.format(status)
    return (
        f'203.0.113.9 - - [2026-11-23T01:02:03+00:00] "{request}" {status} 12 "-" "agent (x; y)"'
        f" host=shop.example time=0.011 upstream={said}\n"
    )


def test_requests_and_errors_of_a_log_are_counted():
    text = line(200) * 3 + line(404) + line(500) + line(502, "0.000/502") + line(503, "-/-") + line(200, "-/-")
    counted = Traffic().add(requests(text + "torn"))
    assert counted.total == Counter(all=6, errors=2)
    assert counted.example == "GET /x?y=[1] HTTP/1.1 was answered 502"


def test_quotes_in_a_request_hide_nothing():
    counted = Traffic().add(requests(line(500, request='GET /\\x22 500 \\"upstream=1/200 HTTP/1.1')))
    assert counted.total == Counter(all=1, errors=1)


def test_the_log_is_read_on_over_a_rotation(tmp_path):
    file = tmp_path / "access.log"
    file.write_text(line(500) * 2)
    log = watch.Log(str(file))
    assert log.before().total == Counter(all=2, errors=2)
    assert log.more().total == Counter()
    with open(file, "a") as handle:
        handle.write(line(200) + line(500)[:-5])
    assert log.more().total == Counter(all=1)
    with open(file, "a") as handle:
        handle.write(line(500)[-5:])
    assert log.more().total == Counter(all=2, errors=1)
    file.rename(tmp_path / "access.log.1")
    file.write_text(line(500))
    assert log.more().total == Counter(all=3, errors=2)
    assert log.seen.example


def test_a_log_that_is_not_there_says_nothing(tmp_path):
    for name in ("", str(tmp_path / "none")):
        log = watch.Log(name)
        assert (log.before().total, log.more().total) == (Counter(), Counter())


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        ((100, 0), (100, 6), True),
        ((100, 0), (100, 5), False),
        ((100, 0), (4, 4), False),
        ((0, 0), (5, 5), True),
        ((100, 50), (100, 52), False),
        ((100, 50), (100, 60), True),
        ((100, 0), (0, 0), False),
    ],
)
def test_worse_means_a_larger_share_and_more_than_a_few(before, after, is_worse):
    counters = [Counter(all=number, errors=errors) for number, errors in (before, after)]
    assert bool(watch.worse(*counters, 5, 5)) is is_worse


# Whole logs
class Site:
    """Two releases behind a web server: which GETs fail on which, and the log of before and after the switch."""

    def __init__(self, new: tuple[str, ...] = (), old: tuple[str, ...] = ()) -> None:
        self.new, self.old, self.asked = new, old, 0
        self.span, self.earlier, self.after = "", "", ""

    def ask(self, request) -> tuple[bool, bool]:
        """Make a request again, without its cookies."""
        self.asked += 1
        path = request.safe_target.partition("?")[0]
        return path in self.new or "*" in self.new, path in self.old or "*" in self.old

    def verdict(self, looks: int = 30, has_old: bool = True) -> str:
        """Look at what was logged since the switch, as often as the watch does."""
        earlier, span = (Traffic().add(requests(text)) for text in (self.earlier + self.span, self.span))
        comparison = watch.Comparison(span, earlier, self.ask, has_old, 5, 5)
        after = Traffic().add(requests(self.after))
        return next(filter(None, (comparison.judge(after) for _ in range(looks))), "")


def log(
    path: str, number: int, errors: int = 0, clients: int = 20, first: str = "203.0.113", method: str = "GET"
) -> str:
    """Return lines for one path; ``#`` in it counts the requests."""
    lines = []
    for index in range(number):
        text = line(500 if index < errors else 200, request=f"{method} {path.replace('#', str(index))} HTTP/1.1")
        lines.append(text.replace("203.0.113.9", f"{first}.{index % clients}"))
    return "".join(lines)


BUSY = log("/", 2000) + log("/items/#", 1500)


def test_a_page_that_always_fails_is_no_reason_whatever_went_before():
    # 5 of 5 against 4.1 %: polled once a second, after busy hours.
    site = Site(new=("/report",), old=("/report",))
    site.earlier, site.span = BUSY + log("/report", 150, 150, 1), log("/report", 30, 30, 1)
    site.after = log("/report", 30, 30, 1)
    assert site.verdict() == ""
    # Likewise what is posted, which is not made again.
    site.earlier, site.span, site.after = (
        text.replace("GET /report", "POST /report") for text in (BUSY, site.span, site.after)
    )
    assert site.verdict() == ""


def test_a_stranger_who_knows_what_fails_reverts_nothing():
    site = Site(new=("/broken",), old=("/broken",))
    site.earlier, site.after = BUSY, log("/broken", 500, 500, 1, "198.51.100") + log("/", 20)
    assert site.verdict() == ""


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("clients", [1, 200])
def test_a_stranger_who_invents_addresses_that_fail_on_both_reverts_nothing(method, clients):
    site = Site(new=("*",), old=("*",))
    made = "".join(log(f"/{word}/#", 20, 20, clients, "198.51.100", method) for word in ("a", "items", "c/d", "x"))
    site.earlier, site.after = BUSY + log("/orders/#", 300, method="POST"), made + log("/", 20)
    assert site.verdict() == ""


def test_a_stranger_who_posts_what_fails_reverts_nothing():
    site = Site()
    site.earlier = BUSY + log("/login", 300, method="POST") + log("/login", 1, 0, 1, "198.51.100", "POST")
    site.after = log("/", 200) + log("/login", 50, 50, 1, "198.51.100", "POST") + log("/login", 10, method="POST")
    assert site.verdict() == ""


def test_a_route_that_failed_as_often_before_is_no_reason():
    site = Site()
    site.earlier, site.span = BUSY, log("/orders", 60, 6, method="POST")
    site.after = log("/orders", 60, 9, method="POST")
    assert site.verdict() == ""


def test_what_fails_since_before_the_switch_is_no_reason():
    # What it needs went down a minute before: hours of good answers say nothing of now.
    site = Site(new=("/",), old=("/",))
    site.earlier, site.span, site.after = BUSY, log("/", 100, 95), log("/", 100, 96)
    assert site.verdict() == ""


@pytest.mark.parametrize("many", [5, 2000])
def test_a_release_whose_pages_fail_is_found_at_any_traffic(many):
    site = Site(new=("*",))
    site.earlier, site.after = log("/", 40) + log("/items/#", 40), log("/", many, many, min(many, 20))
    said = site.verdict()
    assert (
        f"{many} of {many} requests since the switch were answered 5xx" in said and "old release answers well" in said
    )


def test_a_page_that_nobody_asked_for_before_is_found_where_only_the_new_release_fails():
    site = Site(new=("/new",))
    site.earlier, site.after = BUSY, log("/", 500) + log("/new", 6, 6)
    assert "6 of 6" in site.verdict()


def test_one_route_among_busy_ones_is_found():
    site = Site()
    site.earlier = BUSY + log("/orders/#", 200, method="POST")
    site.after = log("/", 2000) + log("/orders/#", 8, 8, method="POST")
    assert "8 of 8" in site.verdict()


def test_pages_of_those_who_are_logged_in_are_found_by_their_number():
    # Asked again without a cookie both releases answer by the login.
    site = Site()
    site.earlier, site.after = BUSY + log("/account", 100), log("/account", 12, 12)
    assert "12 of 12" in site.verdict()


def test_several_rare_routes_are_found_together():
    site = Site()
    rare = [f"/rare-{letter}" for letter in "abcdef"]
    site.earlier = BUSY + "".join(log(path, 10, clients=1, method="POST") for path in rare)
    site.after = log("/", 100) + "".join(log(path, 2, 2, 1, method="POST") for path in rare)
    assert "12 of 12" in site.verdict()


def test_what_fails_once_and_then_no_more_is_no_reason():
    site = Site(new=("/",))
    site.earlier, site.after = BUSY, log("/", 10, 10, 1, "198.51.100")
    answers = iter([(True, False)])
    site.ask = lambda request: next(answers, (False, False))
    assert site.verdict() == ""


def test_few_requests_are_made_again():
    site = Site(new=("*",), old=("*",))
    site.after = "".join(log(f"/word-{number}-x", 3, 3) for number in range(300))
    site.verdict(looks=30)
    assert site.asked <= 30 * 3


def test_without_an_old_release_only_one_that_mostly_fails_is_no_release():
    site = Site(new=("/",))
    site.after = log("/", 10, 10)
    assert site.verdict(has_old=False)
    site.after += log("/fine", 50)
    assert site.verdict(has_old=False) == ""


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/", "/"),
        ("/items/17?x=1", "/items/*"),
        ("/items/17/edit", "/items/*/edit"),
        ("/orders/6f1b1a52-9e0f-4c43-8a59-3a8b4a1f0c11", "/orders/*"),
        ("/files/9f86d081884c7d65", "/files/*"),
        ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "/t/*"),
        ("/2026-11-26/news", "/*/news"),
        ("/about/deadbeef", "/about/deadbeef"),
        ("/static/css/main.css", "/static/css/main.css"),
    ],
)
def test_what_names_one_of_many_is_a_star(target, route):
    assert template(target) == route


def test_routes_are_told_apart_up_to_a_bound():
    assert (
        len(
            Traffic()
            .add(requests("".join(log(f"/w{letter}-#-x", 100) for letter in "abcdefghijklmnopqrstuvwxyz")))
            .routes
        )
        <= 2001
    )


# The test itself
@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([((10, 0), (10, 10))], 1 / 184756),  # by hand: one way of choose(20, 10)
        ([((3, 1), (1, 1))], 0.5),
        ([((100, 100), (5, 5))], 1.0),
        ([((100, 0), (5, 0))], 1.0),
        ([((3, 1), (1, 1)), ((3, 1), (1, 1))], 0.25),
    ],
)
def test_the_chance_of_so_many_errors(tables, expected):
    strata = [tuple(Counter(all=size, errors=bad) for size, bad in table) for table in tables]
    assert chance(strata) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_no_worse_is_seldom_found(seed):
    draw = random.Random(seed)
    found = 0
    for _ in range(100):
        rate = draw.choice([0.0, 0.02, 0.3, 1.0])
        strata = []
        for _route in range(5):
            sizes = draw.randint(5, 200), draw.randint(1, 40)
            strata.append(
                tuple(Counter(all=size, errors=sum(draw.random() < rate for _ in range(size))) for size in sizes)
            )
        found += chance(strata) < 0.001
    assert found <= 2
