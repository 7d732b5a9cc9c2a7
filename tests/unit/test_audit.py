"""What pip-audit says, and what is made of it."""

from __future__ import annotations

import json

from .conftest import load

audit = load("roles/app/filter_plugins/app_audit.py")


def test_a_vulnerable_package_is_told_with_what_mends_it() -> None:
    said = {
        "dependencies": [
            {"name": "flask", "version": "2.0.0", "vulns": [{"id": "CVE-1", "fix_versions": ["2.2.5", "2.3.2"]}]},
            {"name": "jinja2", "version": "3.1.6", "vulns": []},
        ]
    }
    found = audit.app_audit({"stdout": json.dumps(said), "rc": 1})
    assert found == {"vulnerable": ["flask 2.0.0 (CVE-1; mended in 2.2.5, 2.3.2)"], "count": 2, "reason": ""}


def test_a_database_that_knows_nothing_is_no_clean_bill() -> None:
    said = {"dependencies": [{"name": "flask", "skip_reason": "Dependency not found on PyPI: flask (2.0.0)"}]}
    found = audit.app_audit({"stdout": json.dumps(said), "rc": 0})
    assert found["count"] == 0 and "not found" in found["reason"] and found["vulnerable"] == []


def test_a_program_that_is_missing_or_fails_is_told() -> None:
    assert "No such file" in audit.app_audit({"msg": "Error executing command: No such file or directory"})["reason"]
    assert audit.app_audit({"stdout": "", "stderr": "x\nConnectionError: no"})["reason"] == "ConnectionError: no"
    assert audit.app_audit({})["reason"]
