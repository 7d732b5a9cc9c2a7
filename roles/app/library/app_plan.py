#!/usr/bin/python
"""Read an app's source on the control node and plan its release."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_plan
short_description: Read an app's source and plan its release
description:
  - Runs on the control node. Finds the app's files (a directory, or a ref of a git repository, which is mirrored in
    the cache), reads its Procfile, Python version and dependency files, and fails where the app cannot run as it is.
  - Changes nothing but the cache.
options:
  source: {description: "A directory or a git URL.", type: str, required: true}
  version: {description: "The git ref; empty for the default branch or a plain directory.", type: str, default: ""}
  base: {description: "The directory that a relative source is taken from.", type: path, required: true}
  cache: {description: "The directory for mirrors and exports.", type: path, required: true}
  wsgi: {description: "The WSGI target; unset for what the Procfile says.", type: str}
  processes: {description: "Further processes; unset for the Procfile's.", type: dict}
  migrate_command: {description: "The migration; unset for the Procfile's release line.", type: str}
  scheduled: {description: "Processes that run by the clock: name, schedule and command.", type: dict, default: {}}
  static: {description: "Static directories; unset for Flask's own.", type: list, elements: dict}
author: [Slipway]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.slipway_app import bundle, plan, source
from ansible.module_utils.slipway_app.errors import AppError


def main() -> None:
    """Return the plan as ``plan``."""
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "required": True},
            "version": {"type": "str", "default": ""},
            "base": {"type": "path", "required": True},
            "cache": {"type": "path", "required": True},
            "wsgi": {"type": "str"},
            "processes": {"type": "dict"},
            "migrate_command": {"type": "str"},
            "scheduled": {"type": "dict", "default": {}},
            "static": {"type": "list", "elements": "dict"},
        },
        supports_check_mode=True,
    )
    asked = module.params
    try:
        path, commit = source.locate(asked["source"], asked["version"], Path(asked["cache"]), Path(asked["base"]))
        made = plan.make(path, asked)
    except AppError as error:
        module.fail_json(msg=str(error), variable=error.variable)
    made["ref"], made["commit"] = asked["version"], commit
    made["database_scheme"] = bundle.drivers_scheme(made)
    made["files"] = len(made["files"])
    module.exit_json(changed=False, plan=made)


if __name__ == "__main__":
    main()
