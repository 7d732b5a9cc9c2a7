"""Send a file to the place on a machine that a release is unpacked from: by one command, without a module's start."""

from __future__ import annotations

import shlex
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.action import ActionBase

_ARGUMENTS = {
    "root": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "content": {"type": "str", "no_log": True},
    "path": {"type": "path"},
}
# Mitogen takes no message of more than 128 MiB, and each piece is in memory a few times.
_PIECE_BYTES = 32 * 1024 * 1024


class ActionModule(ActionBase):
    """Put a file into ``incoming`` below ``root``, the app's directory on the machine, readable by root alone.

    Arguments: ``root``, ``name`` (the file's, there), and either ``content`` (its text, which is not empty) or ``path``
    (a file of the control node). It is written beside and renamed, so that under its name it is whole or not there.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """See the class. AnsibleActionFail with the machine's words, such as those on a full disk."""
        result = super().run(tmp, task_vars) | {"changed": True}
        _, wanted = self.validate_argument_spec(
            _ARGUMENTS, mutually_exclusive=[["content", "path"]], required_one_of=[["content", "path"]]
        )
        if self._task.check_mode:
            return result
        data = Path(wanted["path"]).read_bytes() if wanted["path"] else to_bytes(wanted["content"])
        for begin in range(0, len(data), _PIECE_BYTES):
            piece = data[begin : begin + _PIECE_BYTES]
            size = len(data) if begin + len(piece) == len(data) else None
            got = self._low_level_execute_command(
                receive(wanted["root"], wanted["name"], begin > 0, size), in_data=piece
            )
            if got["rc"] != 0:
                said = (got["stderr"] or got["stdout"]).strip()[-2000:]
                raise AnsibleActionFail(f"{wanted['name']} could not be sent to {wanted['root']}/incoming: {said}")
        return result


def receive(root: str, name: str, goes_on: bool, size: int | None) -> str:
    """The command that makes the directories of a deploy and takes a piece of a file from its standard input.

    ``size`` of the whole file, in bytes, where it is the last piece: what a sender has sent until it is killed ends as
    a whole file does.
    """
    cache, incoming = (shlex.quote(f"{root}/{directory}") for directory in ("cache", "incoming"))
    part, whole = (shlex.quote(f"{root}/incoming/{name}{end}") for end in (".part", ""))
    keep = "" if size is None else f' && [ "$(stat -c %s {part})" = {size} ] && mv {part} {whole}'
    return (
        f"install -d -o root -g root -m 0711 {cache} && install -d -o root -g root -m 0700 {incoming}"
        f" && umask 077 && cat {'>>' if goes_on else '>'} {part}{keep}"
    )
