"""Run the module inspect_machine on a machine, as one of the light ones."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

from ansible.module_utils.slipway_light.control import LightAction  # noqa: E402 - from the path above


class ActionModule(LightAction):
    """Arguments and what is returned: see the module."""
