"""What the check tells of a real app: the shop of the scenario releases, whose setting BROKEN breaks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.slipway_release import check_app, checks

pytestmark = pytest.mark.slow
SHOP = Path(__file__).parents[1] / "apps/shop"
URL = "postgresql+psycopg://shop@/shop?host=/nowhere"


def told(broken: str = "", target: str = "app:app", url: str = URL) -> dict:
    """Return what the check tells of the shop."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SHOP),
        "SLIPWAY_WSGI": target,
        "SECRET_KEY": "k" * 40,
        "DATABASE_URL": url,
        "SQLALCHEMY_DATABASE_URI": url,
        "BROKEN": broken,
    }
    words = [sys.executable, "-B", check_app.__file__]
    done = subprocess.run(words, env=environment, cwd=SHOP, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def unsafe(facts: dict) -> list[str]:
    """Return the checks that would stop the deploy."""
    found = checks.judge(facts, {"proxy_hops": 1}, "gunicorn app:app", "")
    return [finding.check for finding in found if finding.unsafe]


@pytest.mark.parametrize(
    ("broken", "stopped_by"),
    [
        ("import", ["imports"]),
        ("debug", ["debug"]),
        ("key", ["secret_key"]),
        ("sqlite", ["database"]),
        ("proxies", ["proxy_fix"]),
    ],
)
def test_each_fault_of_the_app_stops_the_deploy(broken, stopped_by):
    # There is no database in this test, and the app says so whatever else is wrong with it.
    assert [check for check in unsafe(told(broken)) if check != "database" or broken == "sqlite"] == stopped_by


def test_what_is_told_of_an_app_that_is_well():
    facts = told()
    assert facts["key"] == {"set": True, "length": 40, "expected": True}
    assert facts["proxies"] == {"x_for": 1, "x_proto": 1, "x_host": 1, "x_port": 0, "x_prefix": 0}
    assert facts["cookies"] == {"secure": True, "httponly": True, "samesite": "Lax"}
    assert (facts["debug"], facts["testing"], facts["body_limit"]) == (False, False, 65536)
    assert facts["database"]["used"] == facts["database"]["configured"]
    assert facts["database"]["used"]["name"] == "shop"
    assert facts["migrations"]["heads"] == ["0001"]


def test_a_database_that_cannot_be_reached_stops_the_deploy_without_its_password():
    facts = told(url="postgresql+psycopg://shop:hunter2@localhost:1/shop")
    assert unsafe(facts) == ["database"]
    assert "hunter2" not in json.dumps(facts)


def test_an_app_that_is_not_there():
    facts = told(target="app:nothing")
    assert not facts["imports"] and "nothing" in facts["error"]
