"""The one error that the control node's half of a deploy raises."""

from __future__ import annotations


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
