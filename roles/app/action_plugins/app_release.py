"""Hand the module app_release the program that it starts, made on the control node from this playbook's own sources."""

from __future__ import annotations

import base64
from pathlib import Path

import ansible.module_utils
from ansible.plugins.action import ActionBase

ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))


class ActionModule(ActionBase):
    """Arguments and what is returned: see the module."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Run the module on the machine."""
        from ansible.module_utils.slipway_release import program

        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("state") == "start":
            arguments["program"] = base64.b64encode(program.build()).decode()
        return self._execute_module("app_release", module_args=arguments, task_vars=task_vars)
