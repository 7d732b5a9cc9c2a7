"""The filter that reads what pip-audit says."""

from __future__ import annotations

import json


def app_audit(result: dict) -> dict:
    """Return what an audit has found.

    Args:
        result: the result of the command ``pip-audit --format=json``: stdout, stderr, msg.

    Returns:
        ``vulnerable``: a line for each package with known vulnerabilities, their names and the versions that mend them;
        ``count``: how many packages were looked up; ``reason``: why none was, empty otherwise. A database that cannot
        be reached, and a package that it does not know, are no finding.
    """
    try:
        packages = json.loads(result.get("stdout") or "")["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (result.get("stderr") or result.get("msg") or "").strip().splitlines()
        return {"vulnerable": [], "count": 0, "reason": said[-1] if said else "pip-audit said nothing."}
    audited = [package for package in packages if "skip_reason" not in package]
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    return {
        "vulnerable": [_line(package) for package in audited if package.get("vulns")],
        "count": len(audited),
        "reason": "" if audited else (skipped or ["there is no package."])[0],
    }


def _line(package: dict) -> str:
    found = package["vulns"]
    mended = sorted({version for each in found for version in each.get("fix_versions", [])})
    return (
        f"{package['name']} {package['version']} ({', '.join(each['id'] for each in found)}; "
        f"mended in {', '.join(mended) or 'no version yet'})"
    )


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict:
        """Return the filters of this file."""
        return {"app_audit": app_audit}
