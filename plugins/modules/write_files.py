"""Write several small files in one go: one round trip to the machine instead of one for each of them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: write_files
short_description: Write several small text files at once
description:
  - What M(ansible.builtin.copy) does with I(content), for a list of files that belong together. Missing directories
    are made. The files are root's.
  - All files are validated before the first one is replaced. Each is replaced by a rename.
  - The contents are shown with C(--diff). It is no place for secrets.
options:
  files:
    description: The files, in the order in which they are written.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description: Absolute path of the file.
        type: path
        required: true
      content:
        description: The whole text. Empty means that there shall be no such file.
        type: str
        required: true
      mode:
        description: Permissions, quoted and octal.
        type: str
        default: "0644"
      validate:
        description: A command that judges the file before it is used; %s stands for its path.
        type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Say how sudo behaves
  write_files:
    files:
      - dest: /etc/sudoers.d/10-example
        content: "Defaults use_pty\n"
        mode: "0440"
        validate: visudo -cf %s
"""

RETURN = r"""
changed_files:
  description: The paths of the files that were written or removed.
  type: list
  elements: str
  returned: always
"""

import os
import shlex
import stat
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def needs_change(path: Path, content: str, mode: int) -> bool:
    """Whether the file is not yet as it shall be; no content means no file."""
    if not content:
        return path.is_symlink() or path.exists()
    if path.is_symlink() or not path.is_file():
        return True
    status = path.stat()
    now = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, path.read_bytes())
    return now != (mode, os.geteuid(), os.getegid(), content.encode())


def text_of(path: Path) -> str:
    """What is in the file now, for a diff."""
    return path.read_text(errors="replace") if path.is_file() else ""


def written(content: str, mode: int, directory: str | Path) -> Path:
    """Write a temporary file, whose name begins with a dot, so that no daemon reads it, and return its path."""
    handle, name = tempfile.mkstemp(prefix=".slipway-", dir=directory)
    with os.fdopen(handle, "wb") as temporary:
        temporary.write(content.encode())
        os.fchmod(temporary.fileno(), mode)
    return Path(name)


def judge(module: AnsibleModule, file: dict) -> None:
    """Have the text judged by the file's own command, which ends the module where it is refused."""
    if not file["content"] or not file["validate"]:
        return
    temporary = written(file["content"], int(file["mode"], 8), module.tmpdir)
    command = [word.replace("%s", str(temporary)) for word in shlex.split(file["validate"])]
    status, out, err = module.run_command(command)
    temporary.unlink()
    if status != 0:
        module.fail_json(msg=f"{file['dest']} is refused, and nothing was written: {out}{err}".strip())


def put(file: dict) -> None:
    """Replace the file by a rename, or remove it."""
    path = Path(file["dest"])
    if not file["content"]:
        path.unlink()
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    written(file["content"], int(file["mode"], 8), path.parent).replace(path)


def main() -> None:
    """Run as an Ansible module."""
    spec = {
        "dest": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "options": spec, "required": True}},
        supports_check_mode=True,
    )
    wanted = [
        file
        for file in module.params["files"]
        if needs_change(Path(file["dest"]), file["content"], int(file["mode"], 8))
    ]
    diff = [
        {
            "before_header": file["dest"],
            "before": text_of(Path(file["dest"])),
            "after_header": file["dest"],
            "after": file["content"],
        }
        for file in wanted
    ]
    for file in wanted:
        judge(module, file)
    if not module.check_mode:
        for file in wanted:
            put(file)
    module.exit_json(changed=bool(wanted), changed_files=[file["dest"] for file in wanted], diff=diff)


if __name__ == "__main__":
    main()
