"""Run the module app_release on a machine, with the program that it starts, made of this playbook's own sources."""

from __future__ import annotations

import base64
from pathlib import Path

import ansible.module_utils
from ansible import constants

_HERE = str(Path(__file__).parents[1] / "module_utils")
ansible.module_utils.__path__.extend([_HERE, *constants.DEFAULT_MODULE_UTILS_PATH])

from ansible.module_utils.slipway_light.control import LightAction  # noqa: E402 - from the paths above
from ansible.module_utils.slipway_release import program  # noqa: E402


class ActionModule(LightAction):
    """Arguments and what is returned: see the module."""

    def completed(self, arguments: dict) -> dict:
        """Add the program, where it will be started."""
        if arguments["state"] == "start":
            arguments["program"] = base64.b64encode(program.build()).decode()
        return arguments
