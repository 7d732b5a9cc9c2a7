"""The one error that the control node's half of a deploy raises, and what Ansible is told of it."""

from __future__ import annotations

import json
from collections.abc import Callable


class AppError(Exception):
    """The app or its settings cannot be deployed as they are.

    ``variable`` names the inventory's variable to look at (or "" where none is to blame), ``expected``
    says what form it should have.
    """

    def __init__(self, message: str, variable: str = "", expected: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.variable = variable
        self.expected = expected

    def __str__(self) -> str:
        text = f"{self.variable}: {self.message}" if self.variable else self.message
        return f"{text} Expected: {self.expected}." if self.expected else text


def answer(make: Callable[[dict], dict], arguments: dict) -> dict:
    """Return what ``make`` makes of an action's arguments, as the action's result; a failure where it raises AppError.

    Through JSON, so that what it gets are plain values and not Ansible's tagged ones.
    """
    try:
        return {"changed": False, **make(json.loads(json.dumps(arguments)))}
    except AppError as error:
        return {"failed": True, "msg": str(error), "variable": error.variable}
