"""Write several small files in one go: one round trip to the machine instead of one for each of them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: write_files
short_description: Write several small text files at once
description:
  - What M(ansible.builtin.copy) does with I(content) and M(ansible.builtin.file) with I(state), for a list of files,
    directories and links that belong together. Missing directories are made. All is root's unless it says otherwise.
  - They are settled in the order of the list. A file is validated before it is used, with those before it in place;
    where one is refused, those that were changed before it are put back.
  - Each file is replaced by a rename.
  - The contents are shown with C(--diff). It is no place for secrets.
options:
  files:
    description: The files, directories and links, in the order in which they are settled.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description: Absolute path.
        type: path
        required: true
      content:
        description: The whole text of a file. Empty means that there shall be nothing at this path.
        type: str
      link:
        description: What a symbolic link shall point to. Instead of I(content).
        type: str
      directory:
        description: Whether a directory is meant. Instead of I(content).
        type: bool
        default: false
      mode:
        description: Permissions, quoted and octal; 0644 for a file and 0755 for a directory where nothing is said.
        type: str
      owner:
        description: The user whose it is, of a name that the machine knows. Root's where nothing is said.
        type: str
      group:
        description: The group whose it is, of a name that the machine knows. Root's where nothing is said.
        type: str
      validate:
        description: A command that judges the file before it is used; %s stands for its path.
        type: str
      needs_earlier:
        description:
          - Whether the command can only judge the file with the earlier ones of the list in place. A check, which does
            not write those, then leaves it unjudged where one of them differs.
        type: bool
        default: false
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
      - {dest: /var/lib/example, directory: true, mode: "0750", group: adm}
"""

RETURN = r"""
changed_files:
  description: The paths that were made, written, changed or removed.
  type: list
  elements: str
  returned: always
"""

import grp
import os
import pwd
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.basic import AnsibleModule

UNKNOWN = -2  # a user or group that a check finds missing, and an earlier task would have made


class Wanted(NamedTuple):
    """What shall be at a path."""

    path: Path
    kind: str  # file, directory, link or absent
    text: str  # a file's content, or what a link points to
    mode: int
    owner: int
    group: int
    validate: str
    needs_earlier: bool

    def is_there(self) -> bool:
        """Whether it is all as it shall be."""
        path = self.path
        if self.kind == "absent":
            return not (path.is_symlink() or path.exists())
        if self.kind == "link":
            return path.is_symlink() and os.readlink(path) == self.text
        if path.is_symlink() or not (path.is_dir() if self.kind == "directory" else path.is_file()):
            return False
        status = path.stat()
        if (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) != (self.mode, self.owner, self.group):
            return False
        return self.kind == "directory" or path.read_bytes() == self.text.encode()

    def temporary(self, directory: str | Path) -> Path:
        """Write the file under another name, which begins with a dot, so that no daemon reads it."""
        handle, name = tempfile.mkstemp(prefix=".slipway-", dir=directory)
        with os.fdopen(handle, "wb") as file:
            file.write(self.text.encode())
            if UNKNOWN not in (self.owner, self.group):
                os.fchown(file.fileno(), self.owner, self.group)
            os.fchmod(file.fileno(), self.mode)
        return Path(name)

    def put(self) -> None:
        """Make it so. Raises OSError where something else is in the way."""
        path = self.path
        if self.kind == "absent":
            path.unlink()
            return
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.kind == "directory":
            path.mkdir(exist_ok=True)
            os.chown(path, self.owner, self.group)
            path.chmod(self.mode)
        elif self.kind == "link":
            fresh = path.with_name(f".slipway-{path.name}")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.text)
            fresh.replace(path)
        else:
            self.temporary(path.parent).replace(path)

    def shown(self) -> str:
        """How it looks in a diff."""
        if self.kind == "directory":
            return f"a directory, mode {self.mode:04o}\n"
        return f"-> {self.text}\n" if self.kind == "link" else self.text


class Before:
    """What is at some paths now, to be put back."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.kept: list[tuple[Path, Path | None]] = []

    def keep(self, path: Path) -> None:
        """Remember a file or a link. A directory stays; one that is not there yet does no harm later."""
        if path.is_dir() and not path.is_symlink():
            return
        copy = None
        if path.is_symlink() or path.exists():
            copy = self.directory / f"before-{len(self.kept)}"
            shutil.copy2(path, copy, follow_symlinks=False)
            if not copy.is_symlink():
                status = path.stat()
                os.chown(copy, status.st_uid, status.st_gid)
        self.kept.append((path, copy))

    def restore(self) -> None:
        """Put all back, the last one first."""
        for path, copy in reversed(self.kept):
            if copy is not None:
                near = path.with_name(f".slipway-{path.name}")
                shutil.move(copy, near)
                near.replace(path)
            elif not path.is_dir():
                path.unlink(missing_ok=True)


def identity(module: AnsibleModule, name: str | None, own: int, look_up: Callable[[str], int]) -> int:
    """The number of a user or group; our own where none is named. One that is not there ends the module."""
    if not name:
        return own
    try:
        return look_up(name)
    except KeyError:
        if module.check_mode:
            return UNKNOWN
        module.fail_json(msg=f"{name} is no user or group of this machine; nothing was written.")


def wanted_of(module: AnsibleModule, file: dict) -> Wanted:
    """What an entry of the list asks for. Ends the module where it asks for nothing or for two things."""
    said = [file["content"] is not None, file["link"] is not None, file["directory"]]
    if said.count(True) != 1:
        module.fail_json(msg=f"{file['dest']}: exactly one of content, link and directory is expected.")
    if file["directory"]:
        kind = "directory"
    elif file["link"] is not None:
        kind = "link"
    else:
        kind = "file" if file["content"] else "absent"
    return Wanted(
        path=Path(file["dest"]),
        kind=kind,
        text=file["link"] or file["content"] or "",
        mode=int(file["mode"] or ("0755" if kind == "directory" else "0644"), 8),
        owner=identity(module, file["owner"], os.geteuid(), lambda name: pwd.getpwnam(name).pw_uid),
        group=identity(module, file["group"], os.getegid(), lambda name: grp.getgrnam(name).gr_gid),
        validate=file["validate"] or "",
        needs_earlier=file["needs_earlier"],
    )


def text_of(path: Path) -> str:
    """What is there now, for a diff."""
    if path.is_symlink():
        return f"-> {os.readlink(path)}\n"
    return path.read_text(errors="replace") if path.is_file() else ""


def refusal(module: AnsibleModule, file: Wanted) -> str:
    """What the file's own command has to say against it; nothing where it is content."""
    if file.kind != "file" or not file.validate:
        return ""
    temporary = file.temporary(module.tmpdir)
    command = [word.replace("%s", str(temporary)) for word in shlex.split(file.validate)]
    status, out, err = module.run_command(command)
    temporary.unlink()
    return f"{out}{err}".strip() or f"status {status}" if status != 0 else ""


def settle(module: AnsibleModule, wanted: list[Wanted]) -> None:
    """Validate and put each in turn; where one is refused, leave nothing changed."""
    before = Before(module.tmpdir)
    for number, file in enumerate(wanted):
        said = "" if module.check_mode and number > 0 and file.needs_earlier else refusal(module, file)
        if said:
            before.restore()
            module.fail_json(msg=f"{file.path} is refused, and nothing was written: {said}")
        if not module.check_mode:
            before.keep(file.path)
            file.put()


def main() -> None:
    """Run as an Ansible module."""
    spec = {
        "dest": {"type": "path", "required": True},
        "content": {"type": "str"},
        "link": {"type": "str"},
        "directory": {"type": "bool", "default": False},
        "mode": {"type": "str"},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "validate": {"type": "str"},
        "needs_earlier": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "options": spec, "required": True}},
        supports_check_mode=True,
    )
    wanted = [file for file in (wanted_of(module, file) for file in module.params["files"]) if not file.is_there()]
    diff = [
        {
            "before_header": str(file.path),
            "before": text_of(file.path),
            "after_header": str(file.path),
            "after": file.shown(),
        }
        for file in wanted
    ]
    settle(module, wanted)
    module.exit_json(changed=bool(wanted), changed_files=[str(file.path) for file in wanted], diff=diff)


if __name__ == "__main__":
    main()
