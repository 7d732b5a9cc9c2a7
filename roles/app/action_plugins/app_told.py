"""Keep what set-config.yml and scale.yml were told on the command line, so that later deploys go on with it."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

_HEAD = """\
# What playbooks/set-config.yml and playbooks/scale.yml were told with -e; it goes before app_environment and app_scale
# of the inventory. Keep this file with the inventory; a line may be taken out by hand.
"""
_KINDS = {"settings": "app_environment", "scale": "app_scale"}


class ActionModule(ActionBase):
    """Return ``settings`` and ``scale`` as they are kept in a file, after keeping what this run was told.

    Arguments: ``file`` (path); ``keep`` (``settings`` or ``scale``: what to keep; nothing where it is left out);
    ``settings`` (dict: what the variable of that kind holds); ``secrets`` (names that must not be kept in the open);
    ``write`` (bool, false where it is left out: whether to write the file, which is done when the release is live).
    Also returns ``told`` (whether the command line gave that variable), ``given`` and ``unset``: what to put over
    what there is, and the names given as null, which are taken out.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """See the class. Raises AnsibleActionFail where the file is not one of ours, or a name may not be kept."""
        super().run(tmp, task_vars)
        file = Path(self._task.args["file"])
        kept = self._read(file)
        kind, write = self._task.args.get("keep"), bool(self._task.args.get("write", False))
        result = {"changed": False, "told": False, "given": {}, "unset": []}
        if kind and _KINDS[kind] in load_extra_vars(self._loader):
            told = json.loads(json.dumps(self._task.args["settings"]))
            self._judge(kind, told)
            result["told"] = True
            result["given"] = {name: value for name, value in told.items() if value is not None}
            result["unset"] = sorted(set(told) - set(result["given"]))
            new = {**kept[kind], **result["given"]}
            new = {name: new[name] for name in sorted(new) if name not in result["unset"]}
            result["changed"] = new != kept[kind]
            kept[kind] = new
            if write and result["changed"] and not self._task.check_mode:
                self._write(file, kept)
            result["changed"] = write and result["changed"]
        return {**result, **kept}

    def _judge(self, kind: str, told: object) -> None:
        if not isinstance(told, dict):
            raise AnsibleActionFail(f"{_KINDS[kind]} is no dict of names and values.")
        hidden = sorted(set(self._task.args.get("secrets") or []) & set(told))
        if hidden:
            raise AnsibleActionFail(
                f"{', '.join(hidden)}: a secret is not set on a command line. Change it in the vault"
                " (ansible-vault edit), then run set-config.yml without -e."
            )
        for name, value in told.items():
            if kind == "scale" and not re.fullmatch(r"\d{1,3}", str(value)) and value is not None:
                raise AnsibleActionFail(f"app_scale: {name} is {value!r}. Expected: a number of processes, e.g. 2.")
            if kind == "scale" and name == "web" and str(value) == "0":
                raise AnsibleActionFail("app_scale: web is 0. To take the app off, use maintenance.yml.")

    @staticmethod
    def _read(file: Path) -> dict:
        """Return what is kept; two empty dicts where there is no file."""
        stored = (yaml.safe_load(file.read_text()) or {}) if file.is_file() else {}
        told = stored.get("__app_told_by_playbooks", {}) if isinstance(stored, dict) else None
        if told is None or (file.is_file() and "__app_told_by_playbooks" not in stored):
            raise AnsibleActionFail(f"{file} was not written by set-config.yml or scale.yml. Move it away.")
        return {kind: told.get(kind) or {} for kind in _KINDS}

    @staticmethod
    def _write(file: Path, kept: dict) -> None:
        """Replace the file in one rename, so that a killed run leaves the old one or the new one."""
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=file.parent, prefix=".told-")
        try:
            with os.fdopen(descriptor, "w") as handle:
                handle.write(_HEAD + yaml.safe_dump({"__app_told_by_playbooks": kept}, allow_unicode=True))
                handle.flush()
                os.fsync(handle.fileno())
            os.chmod(part, 0o644)
            os.replace(part, file)
        except BaseException:
            os.unlink(part)
            raise
