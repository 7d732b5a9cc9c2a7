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
