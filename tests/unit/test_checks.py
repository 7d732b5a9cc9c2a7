"""What of an app is unsafe or unwise, and what of a log is worse than before."""

from __future__ import annotations

import copy

import pytest
from ansible.module_utils.slipway_release import checks

POSTGRES = {"kind": "postgresql", "host": "", "port": "", "name": "shop", "user": "shop"}
GOOD = {
    "imports": True,
    "flask": True,
    "debug": False,
    "testing": False,
    "key": {"set": True, "length": 64, "expected": True},
    "loaded": ["shop.config.ProductionConfig"],
    "proxies": {"x_for": 1, "x_proto": 1, "x_host": 1, "x_port": 0, "x_prefix": 0},
    "cookies": {"secure": True, "httponly": True, "samesite": "Lax"},
    "body_limit": 1048576,
    "database": {"configured": POSTGRES, "used": POSTGRES, "statement_timeout": 25.0, "error": ""},
}
LIMITS = {"proxy_hops": 1, "proxy_timeout": 40, "body_megabytes": 10}
SQLITE = {"kind": "sqlite", "host": "", "port": "", "name": "app.db", "user": ""}


def judged(limits=LIMITS, web="gunicorn wsgi:app", arguments="--timeout 30", **changed):
    """Return the checks that have something to say about an app that is good but for some facts."""
    found = checks.judge(copy.deepcopy(GOOD) | changed, limits, web, arguments)
    return [(finding.check, finding.unsafe) for finding in found]


def test_a_good_app_is_left_in_peace():
    assert judged() == []


GUNICORN = {"timeout": 30, "graceful_timeout": 30, "preload_app": False, "worker_class_str": "sync", "warnings": []}
OPENED = {"connections": ["/run/postgresql/.s.PGSQL.5432"], "threads": ["queue"], "patched": False}


@pytest.mark.parametrize(
    ("gunicorn", "at_fork", "expected"),
    [
        ({}, OPENED, []),
        ({"preload_app": True}, {"connections": [], "threads": [], "patched": False}, []),
        ({"preload_app": True}, OPENED, [("preload", True)]),
        ({"preload_app": True}, OPENED | {"threads": []}, [("preload", True)]),
        ({"preload_app": True}, OPENED | {"connections": []}, [("preload", True)]),
        ({"preload_app": True, "worker_class_str": "gevent"}, {"patched": False}, [("preload", True)]),
        ({"preload_app": True, "worker_class_str": "gevent"}, {"patched": True}, []),
        ({"warnings": ["gunicorn's daemon = True is not obeyed: systemd runs it"]}, {}, [("gunicorn", False)]),
        ({"graceful_timeout": 60}, {}, [("timeouts", False)]),
        ({"timeout": 90}, {}, [("timeouts", False)]),
    ],
)
@pytest.mark.parametrize("flask", [True, False])
def test_what_gunicorn_would_run_with_is_judged(gunicorn, at_fork, expected, flask):
    if gunicorn == {"timeout": 90} and not flask:
        expected = []
    found = judged(LIMITS | {"stop_seconds": 45.0}, gunicorn=GUNICORN | gunicorn, at_fork=at_fork, flask=flask)
    assert found == expected


def test_what_workers_would_share_is_named():
    limits, facts = LIMITS, copy.deepcopy(GOOD) | {"gunicorn": GUNICORN | {"preload_app": True}, "at_fork": OPENED}
    (finding,) = checks.judge(facts, limits, "gunicorn wsgi:app", "")
    assert "a connection to /run/postgresql/.s.PGSQL.5432; the thread queue, which runs in none" in finding.what
    assert finding.change.startswith("Take --preload (preload_app) out")


def test_a_line_that_does_not_come_to_gunicorn_is_said():
    assert judged(gunicorn=None) == [("gunicorn", False)]


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"imports": False, "error": "ImportError: no"}, ("imports", True)),
        ({"debug": True}, ("debug", True)),
        ({"testing": True}, ("testing", True)),
        ({"loaded": ["shop.config.Config", "shop.config.DevelopmentConfig"]}, ("config_class", True)),
        ({"loaded": ["config.Testing"]}, ("config_class", True)),
        ({"loaded": ["shop.settings.local"]}, ("config_class", True)),
        ({"key": {"set": True, "length": 3, "expected": False}}, ("secret_key", True)),
        ({"key": {"set": False, "length": 0, "expected": False}}, ("secret_key", False)),
        ({"database": GOOD["database"] | {"used": SQLITE}}, ("database", True)),
        ({"database": GOOD["database"] | {"used": POSTGRES | {"name": "other"}}}, ("database", True)),
        ({"database": GOOD["database"] | {"error": "OperationalError: no such role"}}, ("database", True)),
        ({"database": GOOD["database"] | {"configured": None, "used": SQLITE | {"name": ""}}}, ("database", True)),
        ({"database": GOOD["database"] | {"statement_timeout": 0.0}}, ("timeouts", False)),
        ({"database": GOOD["database"] | {"statement_timeout": 60.0}}, ("timeouts", False)),
        ({"proxies": None}, ("proxy_fix", False)),
        ({"proxies": GOOD["proxies"] | {"x_for": 2}}, ("proxy_fix", True)),
        ({"proxies": GOOD["proxies"] | {"x_proto": 0}}, ("proxy_fix", False)),
        ({"cookies": GOOD["cookies"] | {"secure": False}}, ("cookie_secure", False)),
        ({"cookies": GOOD["cookies"] | {"httponly": False}}, ("cookie_httponly", False)),
        ({"cookies": GOOD["cookies"] | {"samesite": None}}, ("cookie_samesite", False)),
        ({"body_limit": None}, ("body_limit", False)),
        ({"body_limit": 11 * 1048576}, ("body_limit", False)),
        ({"web": "gunicorn --timeout=90 wsgi:app"}, ("timeouts", False)),
    ],
)
def test_each_fault_is_found_and_only_it(changed, finding):
    assert judged(**changed) == [finding]


@pytest.mark.parametrize(
    "name", ["shop.config.ProductionConfig", "shop.config.Config", "latest.Settings", "config.Contest"]
)
def test_configurations_of_production_are_no_fault(name):
    assert judged(loaded=[name]) == []


def test_a_database_by_another_driver_or_user_is_the_same():
    assert judged(database=GOOD["database"] | {"used": POSTGRES | {"user": "reader"}}) == []


def test_an_app_that_is_no_flask_app_and_a_machine_without_web_server_say_nothing():
    assert checks.judge({"imports": True, "flask": False}, LIMITS, "", "") == []
    assert judged(limits={}, proxies=None, body_limit=None) == []


@pytest.mark.parametrize(
    ("web", "arguments", "seconds"),
    [
        ("gunicorn -w 4 -t 90 wsgi", "--timeout 30", 90),
        ("gunicorn --timeout=45 wsgi", "", 45),
        ("gunicorn wsgi", "--workers 2 --timeout 60", 60),
        ("gunicorn wsgi", "", 30),
        ("gunicorn --timeout $T wsgi", "--timeout 50", 50),
        ("gunicorn 'open", "", 30),
    ],
)
def test_time_out_of_gunicorn(web, arguments, seconds):
    assert checks.gunicorn_timeout(web, arguments) == seconds
