"""Run the module app_release on a machine, with the program that it starts, made of this playbook's own sources."""

from __future__ import annotations

import base64
from pathlib import Path

import ansible.module_utils
from ansible import constants

_HERE = str(Path(__file__).parents[1] / "module_utils")
ansible.module_utils.__path__.extend([_HERE, *constants.DEFAULT_MODULE_UTILS_PATH])

from ansible.module_utils.slipway_light.control import LightAction, arguments_of  # noqa: E402 - from the paths above
from ansible.module_utils.slipway_release import program  # noqa: E402


class ActionModule(LightAction):
    """Arguments and what is returned: see the module. A migration that waits at the gate is judged here."""

    def run(self, tmp: object = None, task_vars: dict | None = None) -> dict:
        """Run the module, and again with what its question was answered."""
        result = super().run(tmp, task_vars)
        while result.get("status") == "gate":
            _, arguments = self.validate_argument_spec(arguments_of(self.module()))
            answer = {"state": "answer", "request": {}, "steps": judged(result["databases"])}
            result = self.on_the_machine(self.module(), arguments | answer, task_vars)
        return result

    def completed(self, arguments: dict) -> dict:
        """Add the program, where it will be started."""
        if arguments["state"] == "start":
            arguments["program"] = base64.b64encode(program.build()).decode()
        return arguments


def judged(databases: list[dict]) -> list[str]:
    """Return what is unsafe in the SQL of databases; that it cannot be read, where anything is wrong with that."""
    from ansible.module_utils.slipway_app import schema

    try:
        return schema.judge(databases)
    except Exception as error:  # whatever it is, what was not read is not harmless
        return [f"cannot be read: {type(error).__name__}: {error}"]
