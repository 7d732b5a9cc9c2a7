"""The machine that is upgraded."""

from __future__ import annotations

from pathlib import Path

import pytest
from machine import Machine


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which machine it is about, and where its inventory is."""
    parser.addoption("--machine", required=True)
    parser.addoption("--scratch", required=True, type=Path)


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest) -> Machine:
    """The machine, with the shop on it."""
    return Machine.of(request.config.getoption("--machine"), request.config.getoption("--scratch"))
