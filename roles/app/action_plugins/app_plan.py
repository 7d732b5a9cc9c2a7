"""Read an app's source on the control node and plan its release. It changes nothing but the cache."""

from __future__ import annotations

import json
from pathlib import Path

import ansible.module_utils
from ansible.plugins.action import ActionBase

# The code is the modules' too. A module of its own for the control node would take half a second to start.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

_ARGUMENTS = {
    "app": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
    "version": {"type": "str", "default": ""},
    "base": {"type": "path", "required": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 0},
    "wsgi": {"type": "str"},
    "processes": {"type": "dict"},
    "migrate_command": {"type": "str"},
    "scheduled": {"type": "dict", "default": {}},
    "static": {"type": "list", "elements": "dict"},
}


class ActionModule(ActionBase):
    """Find the app's files, read its Procfile, Python version and dependency files, and return what comes of them.

    Fails where the app cannot run as it is, with the name of the inventory's variable that says otherwise.
    Arguments: ``app`` (its name), ``source`` (a directory or a git URL), ``version`` (the git ref; empty for the
    default branch or a plain directory), ``base`` (the directory that a relative source is taken from), ``cache`` (the
    directory for mirrors and exports), ``cache_days`` (how long what nobody uses stays there; 0: for ever); and, each
    unset for what the app itself says, ``wsgi`` (the WSGI target), ``processes`` (further ones, by name),
    ``migrate_command``, ``static`` (directories with their URLs); ``scheduled`` (processes that run by the clock: name,
    schedule and command). Returns ``plan``.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """See the class."""
        from ansible.module_utils.slipway_app.errors import answer

        super().run(tmp, task_vars)
        _, checked = self.validate_argument_spec(_ARGUMENTS)
        return answer(planned, checked)


def planned(asked: dict) -> dict:
    """The plan of an app's release. Raises AppError where the app cannot run as it is."""
    from ansible.module_utils.slipway_app import bundle, cache, plan, source

    cache.prune(Path(asked["cache"]), asked["cache_days"])
    path, commit = source.locate(asked["source"], asked["version"], Path(asked["cache"]), Path(asked["base"]))
    made = plan.make(path, asked)
    made["ref"], made["commit"] = asked["version"], commit
    made["database_scheme"] = bundle.drivers_scheme(made)
    made["files"] = len(made["files"])
    return {"plan": json.loads(json.dumps(made))}
