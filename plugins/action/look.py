"""Ask a machine by a command that only looks: what it prints, without a program of Ansible's on the other side."""

from __future__ import annotations

import shlex

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
module: look
short_description: Ask a machine by a command that changes nothing
description:
  - As M(ansible.builtin.command), for what only looks, and also in a check. A module is carried to the machine and
    compiled there by Python, which takes a seventh of a second of its processor; this starts the command alone.
options:
  command:
    description: The program and its arguments, started in the root directory. No shell looks at them.
    type: list
    elements: str
    required: true
  stdin:
    description: What the program reads, such as a script where it is C(sh -s).
    type: str
    default: ""
  statuses:
    description: The exit statuses that are an answer. Any other is a failure.
    type: list
    elements: int
    default: [0]
"""

EXAMPLES = r"""
- name: Look which settings sshd has in effect
  look:
    command: [sshd, -T]
  register: sshd
"""

RETURN = r"""
rc: {description: The exit status., type: int, returned: always}
stdout: {description: What it printed., type: str, returned: always}
stdout_lines: {description: The same by lines., type: list, elements: str, returned: always}
stderr: {description: What it complained of., type: str, returned: always}
"""


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Run it and return what RETURN says; AnsibleActionFail where it ends with another status."""
        result = super().run(tmp, task_vars)
        _, wanted = self.validate_argument_spec(
            {
                "command": {"type": "list", "elements": "str", "required": True},
                "stdin": {"type": "str", "default": ""},
                "statuses": {"type": "list", "elements": "int", "default": [0]},
            }
        )
        # With nothing at all to read, a connection by ssh would ask for a terminal, which changes what is printed.
        stdin = to_bytes(wanted["stdin"] or "\n")
        got = self._low_level_execute_command(f"cd / && exec {shlex.join(wanted['command'])}", in_data=stdin)
        if got["rc"] not in wanted["statuses"]:
            said = (got["stderr"] or got["stdout"]).strip()[-2000:]
            raise AnsibleActionFail(f"{shlex.join(wanted['command'])} ended with {got['rc']}: {said}", result=got)
        # Ansible itself would take any status but 0 for a failure.
        return result | got | {"changed": False, "failed": False}
