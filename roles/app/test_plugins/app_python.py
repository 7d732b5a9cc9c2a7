"""The test whether a project allows a machine's Python."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet


def app_python_allowed(version: str, requires: str) -> bool:
    """Say whether a version, such as 3.11.2, is among those that PEP 440 specifiers allow; "" allows all."""
    return SpecifierSet(requires).contains(version, prereleases=True)


class TestModule:
    """What Ansible asks for."""

    def tests(self) -> dict:
        """Return the tests of this file."""
        return {"app_python_allowed": app_python_allowed}
