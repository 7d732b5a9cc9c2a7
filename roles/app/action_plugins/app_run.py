"""Run a one-off command in the live release's environment, and show what it prints as it is."""

from __future__ import annotations

from collections.abc import Iterable

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.parsing.splitter import parse_kv
from ansible.plugins.action import ActionBase

_EXPECTED = 'Expected, for example: -e command="flask routes". No machine was touched.'
_AS_JSON = """Write it as JSON: -e '{"command": "..."}', or into a file: -e @FILE. No machine was touched."""
# Where a word NAME=VALUE of a command would change what this run itself does.
_OURS = ("ansible_", "app_", "base_", "gunicorn_", "nginx_", "postgres_", "preflight_", "tls_", "vault_")


def asked_for(options: Iterable[str], value: object) -> str:
    """Return the command as it was typed: ``options`` are the arguments of -e, ``value`` what Ansible made of them.

    Ansible splits command=... at blanks, takes its quotes away and looks for further variables in it, so that
    the words are read here as they stand. Raises AnsibleActionFail where there is no command, or none that is clear.
    """
    command = None
    for option in options:
        named = {} if option.lstrip().startswith(("@", "{", "[")) else parse_kv(option)
        if "command" not in named:
            continue
        if not option.lstrip().startswith("command="):
            raise AnsibleActionFail(f"command shares its -e with other variables; give it one of its own. {_EXPECTED}")
        ours = sorted(name for name in named if name == "on" or name.startswith(_OURS))
        if ours:
            raise AnsibleActionFail(f"Ansible takes {ours[0]}=... in the command for a variable of its own. {_AS_JSON}")
        command = option.lstrip().removeprefix("command=")
        # Quotes around the whole are Ansible's: no program is called "flask routes".
        if len(command) > 1 and command[0] == command[-1] and command[0] in "'\"" and command.count(command[0]) == 2:
            command = command[1:-1]
    if command is None:
        command = value
    if command is None:
        raise AnsibleActionFail(f"Say which command to run. {_EXPECTED}")
    if not isinstance(command, str) or not command.strip():
        raise AnsibleActionFail(f"The command is no text. {_EXPECTED}")
    return str(command)


class ActionModule(ActionBase):
    """Hand the variable ``command`` to the module app_run, as it was written.

    Arguments: ``state`` (``asked``: refuse a request that cannot be run, and touch no machine; ``run``), ``app`` (its
    name), ``seconds`` (the time limit).
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """See the class. Raises AnsibleActionFail where there is no command."""
        super().run(tmp, task_vars)
        # Raw: what looks like a template in the command belongs to the command.
        value = task_vars["hostvars"].raw_get(task_vars["inventory_hostname"]).get("command")
        command = asked_for(context.CLIARGS.get("extra_vars") or (), value)
        if self._task.args["state"] == "asked":
            return {"changed": False}
        done = self._module(command, task_vars)
        if done.get("failed"):
            return done
        self._show(done.get("stdout", ""))
        self._show(done.get("stderr", ""), stderr=True)
        return self._verdict(done["release"], done.get("exit_status"), done["problem"])

    def _module(self, command: str, task_vars: dict) -> dict:
        """Run the module; the machine's log must not have the command, and the person in front must have the result."""
        arguments = {"app": self._task.args["app"], "seconds": self._task.args["seconds"], "command": command}
        kept, self._task.no_log = self._task.no_log, True
        try:
            done = self._execute_module(module_name="app_run", module_args=arguments, task_vars=task_vars)
        finally:
            self._task.no_log = kept
        done.pop("invocation", None)
        return done

    def _show(self, text: str, stderr: bool = False) -> None:
        """Print as it is, and not into Ansible's log."""
        if text:
            self._display.display(text.removesuffix("\n"), stderr=stderr, screen_only=True)

    def _verdict(self, release: str, code: int | None, problem: str) -> dict:
        """Return the task's result: the command's output was shown already."""
        result = {"changed": not problem or code is not None, "failed": bool(problem or code), "release": release}
        if code is not None and not problem:
            result["rc"] = code
        if problem and code is None:
            result["msg"] = f"The command was not run: {problem}."
        elif problem:
            result["msg"] = f"The command did not succeed: {problem}."
        elif code is None:
            result["msg"] = f"It would be run in the release {release}."
        else:
            result["msg"] = f"The command ended with exit status {code}{', or by a signal' if code == 255 else ''}."
        return result
