"""The control node's side of a light module: validate its arguments, send its source, and read what it says."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import zlib
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_UTILITIES = "ansible.module_utils"
_PACKAGE = re.compile(rf"^from {re.escape(_UTILITIES)}\.(slipway_[a-z]+)", re.MULTILINE)
# All that Python is told on its command line. The rest comes on its standard input, and is a file nowhere.
_BOOTSTRAP = """
import json, sys, zlib
from importlib.machinery import ModuleSpec
sent = json.loads(zlib.decompress(sys.stdin.buffer.read()))
class Sent:
    def find_spec(self, name, path=None, target=None):
        if name in sent["source"]:
            return ModuleSpec(name, self, is_package=name in sent["packages"])
    def create_module(self, spec):
        return None
    def get_source(self, name):
        return sent["source"][name]
    def exec_module(self, module):
        exec(compile(self.get_source(module.__name__), module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Sent())
from ansible.module_utils.slipway_light.machine import Module
from light_module import run
run(Module(**sent["module"]))
"""


def sources(module: Path) -> dict[str, str]:
    """Return the text of a module, called light_module, and of the packages of ours that it needs, by their names."""
    texts = {"ansible": "", _UTILITIES: "", "light_module": module.read_text()}
    wanted = {"slipway_light", *_PACKAGE.findall(texts["light_module"])}
    while wanted:
        package = f"{_UTILITIES}.{wanted.pop()}"
        if package in texts:
            continue
        directory = Path(importlib.util.find_spec(package).origin).parent
        new = {f"{package}.{file.stem}": file.read_text() for file in directory.glob("*.py")}
        new[package] = new.pop(f"{package}.__init__")
        wanted.update(*map(_PACKAGE.findall, new.values()))
        texts |= new
    return texts


def arguments_of(module: Path) -> dict:
    """Return a light module's argument specification, which it calls ARGUMENTS."""
    spec = importlib.util.spec_from_file_location(f"light_{module.stem}", module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded.ARGUMENTS


class LightAction(ActionBase):
    """The action of a light module: one that AnsibleModule's start would cost more than what it does.

    It is started by one command. Its source comes with its arguments, without Ansible's own, which Python would have
    to compile on the machine each time.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: object = None, task_vars: dict | None = None) -> dict:
        """Run the module of the task's name and return what it says."""
        result = super().run(tmp, task_vars)
        module = self.module()
        _, arguments = self.validate_argument_spec(arguments_of(module))
        return result | self.on_the_machine(module, self.completed(arguments), task_vars)

    def module(self) -> Path:
        """Return the file of the task's module."""
        return Path(self._shared_loader_obj.module_loader.find_plugin(self._task.action))

    def completed(self, arguments: dict) -> dict:
        """Return the arguments with what an action adds to them."""
        return arguments

    def on_the_machine(self, module: Path, arguments: dict, task_vars: dict) -> dict:
        """Send and run it. Raises AnsibleActionFail, with what it printed, where it ends without a result."""
        texts = sources(module)
        run = {"name": module.stem, "params": arguments, "check_mode": self._task.check_mode}
        packages = [name for name in texts if any(other.startswith(f"{name}.") for other in texts)]
        sent = {"source": texts, "packages": packages, "module": run}
        command = f"{self.interpreter(task_vars)} -I -c {shlex.quote(_BOOTSTRAP)}"
        environment = self._compute_environment_string()
        data = zlib.compress(json.dumps(sent).encode(), level=3)
        got = self._low_level_execute_command(f"{environment} {command}".strip(), in_data=data)
        lines = got["stdout"].strip().splitlines() or [""]
        try:
            return {"changed": False} | json.loads(lines[-1])
        except (TypeError, ValueError):
            said = f"{got['stderr'].strip()}\n{got['stdout'].strip()}".strip()[-4000:]
            problem = f"{module.stem} ended on the machine without a result, with status {got['rc']}: {said}"
            raise AnsibleActionFail(problem, result={"rc": got["rc"]}) from None

    def interpreter(self, task_vars: dict) -> str:
        """Return the machine's Python: Debian's own, unless the inventory names another."""
        configured = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        named = str(self._templar.template(configured))
        return shlex.quote(named) if named.startswith("/") else "/usr/bin/python3"
