"""Files, directories and links: each as it shall be, validated, and put back together where one is refused."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.slipway_light.dpkg import is_pristine
from ansible.module_utils.slipway_light.machine import Module

UNKNOWN = -2  # a user or group that a check finds missing, and an earlier task would have made


_MARK = "Ansible managed"
_USER_NUMBER = re.compile(r"\{uid of ([a-z_][a-z0-9_-]*)\}")


def sync(path: Path) -> None:
    """Put a file's content, or a directory's names, on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Wanted(NamedTuple):
    """What shall be at a path."""

    path: Path
    kind: str  # file, directory, link, made, kept or absent
    text: str  # a file's content, or what a link points to
    mode: int
    owner: int
    group: int
    make: list[str]  # what makes a file of the kind "made"
    validate: str
    needs_earlier: bool
    load: str
    backup: bool

    def is_there(self) -> bool:
        """Whether it is all as it shall be."""
        path = self.path
        if self.kind == "absent":
            return not (path.is_symlink() or path.exists())
        if self.kind == "made":
            return path.exists()
        if self.kind == "link":
            return path.is_symlink() and os.readlink(path) == self.text
        if path.is_symlink() or not (path.is_dir() if self.kind == "directory" else path.is_file()):
            return False
        status = path.stat()
        if (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) != (self.mode, self.owner, self.group):
            return False
        return self.kind in ("directory", "kept") or path.read_bytes() == self.text.encode(errors="surrogateescape")

    def temporary(self, directory: str | Path) -> Path:
        """Write the file under another name, which begins with a dot, so that no daemon reads it."""
        handle, name = tempfile.mkstemp(prefix=".slipway-", dir=directory)
        with os.fdopen(handle, "wb") as file:
            file.write(self.text.encode(errors="surrogateescape"))
            if UNKNOWN not in (self.owner, self.group):
                os.fchown(file.fileno(), self.owner, self.group)
            os.fchmod(file.fileno(), self.mode)
        return Path(name)

    def put(self, module: Module) -> None:
        """Make it so. Raises OSError where something else is in the way, or a command did not make it."""
        path = self.path
        self.keep_a_copy()
        if self.kind == "absent":
            path.unlink()
            return
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.kind == "made":
            said = complaint(module, self.make)
            if said or not path.exists():
                raise OSError(f"it could not be made: {said or self.make[0]}")
        elif self.kind == "directory":
            path.mkdir(exist_ok=True)
            os.chown(path, self.owner, self.group)
            path.chmod(self.mode)
        elif self.kind == "kept":
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0)
            os.fchown(handle, self.owner, self.group)
            os.fchmod(handle, self.mode)
            os.close(handle)
        elif self.kind == "link":
            fresh = path.with_name(f".slipway-{path.name}")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.text)
            if not fresh.exists():
                fresh.unlink()
                raise OSError(f"it shall be a link to {self.text}, and there is no such file")
            self.replace_with(fresh)
        else:
            self.replace_with(self.temporary(path.parent))

    def keep_a_copy(self) -> None:
        """Keep a file that is neither this toolkit's nor its package's own, the first one that was there."""
        if not self.backup or self.path.is_symlink() or not self.path.is_file() or is_pristine(str(self.path)):
            return
        # nginx reads all that is in there, whatever it is called.
        directory = self.path.parent
        if directory.name == "sites-enabled":
            directory = directory.with_name("sites-available")
        copy = directory / f"{self.path.name}.before-slipway"
        if _MARK not in self.path.read_text(errors="replace") and not copy.exists():
            fresh = copy.with_name(f".slipway-{copy.name}")
            status = self.path.stat()
            shutil.copy2(self.path, fresh)
            os.chown(fresh, status.st_uid, status.st_gid)
            fresh.replace(copy)

    def replace_with(self, fresh: Path) -> None:
        """Give a new file or link the name. Raises OSError where a directory has it, and leaves nothing beside it.

        A power cut afterwards leaves the old content or all of the new, and never an empty file.
        """
        try:
            if not fresh.is_symlink():
                sync(fresh)
            fresh.replace(self.path)
        except OSError:
            fresh.unlink()
            raise
        sync(self.path.parent)

    def shown(self) -> str:
        """How it looks in a diff."""
        if self.kind == "directory":
            return f"a directory, mode {self.mode:04o}\n"
        if self.kind == "kept":
            return f"a file, mode {self.mode:04o}\n"
        if self.kind == "made":
            return f"what {self.make[0]} makes\n"
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
                status = copy.lstat()
                shutil.move(copy, near)
                # Over the border of a file system it is a copy, which is nobody's but ours.
                os.chown(near, status.st_uid, status.st_gid, follow_symlinks=False)
                near.replace(path)
            elif not path.is_dir():
                path.unlink(missing_ok=True)


def identity(module: Module, name: str | None, own: int, look_up: Callable[[str], int]) -> int:
    """The number of a user or group; our own where none is named. One that is not there ends the module."""
    if not name:
        return own
    try:
        return look_up(name)
    except KeyError:
        if module.check_mode:
            return UNKNOWN
        module.fail_json(msg=f"{name} is no user or group of this machine; nothing was written.")


def user_number(module: Module, name: str) -> str:
    """The number of a user, as text. Ends the module where there is none; a check takes a number that nobody has."""
    number = identity(module, name, UNKNOWN, lambda name: pwd.getpwnam(name).pw_uid)
    return str(number) if number != UNKNOWN else "4294967294"


def with_block(path: Path, block: str, topic: str) -> str:
    """The file's own text with the block in it, between two lines that name the topic: in place of that topic's
    block, or at the end."""
    begin, end = f"# BEGIN {topic}", f"# END {topic}"
    before = path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""
    ours = "\n".join([begin, *block.splitlines(), end]) + "\n"
    # From the last beginning before the end: a stray one is not ours, nor what follows it.
    found = re.search(rf"^{re.escape(begin)}\n(?:(?!{re.escape(begin)}\n).*\n)*?{re.escape(end)}\n", before, re.M)
    if found:
        return before[: found.start()] + ours + before[found.end() :]
    return before + ("" if before.endswith("\n") or not before else "\n") + ours


def kind_of(file: dict) -> str:
    """What kind of thing an entry asks for; empty where it asks for nothing, or for two things."""
    said = [kind for kind in ("content", "block", "link") if file[kind] is not None]
    said += ["make"] if file["make"] else []
    said += ["directory"] if file["directory"] else []
    said += ["kept"] if file["keep"] else []
    if len(said) != 1:
        return ""
    if said == ["content"] and not file["content"]:
        return "absent"
    return {"content": "file", "block": "file", "make": "made"}.get(said[0], said[0])


def wanted_of(module: Module, file: dict) -> Wanted:
    """What an entry of the list asks for. Ends the module where it asks for nothing or for two things."""
    path, kind = Path(file["dest"]), kind_of(file)
    if not kind:
        module.fail_json(msg=f"{path}: exactly one of content, block, link, make, directory and keep is expected.")
    text = _USER_NUMBER.sub(lambda found: user_number(module, found[1]), file["link"] or file["content"] or "")
    mode = int(file["mode"] or ("0755" if kind == "directory" else "0644"), 8)
    owner = identity(module, file["owner"], os.geteuid(), lambda name: pwd.getpwnam(name).pw_uid)
    group = identity(module, file["group"], os.getegid(), lambda name: grp.getgrnam(name).gr_gid)
    if file["block"] is not None:
        path = path.resolve()
        text = with_block(path, file["block"], file["topic"])
        if path.exists():
            status = path.stat()
            mode, owner, group = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    return Wanted(
        path=path,
        kind=kind,
        text=text,
        mode=mode,
        owner=owner,
        group=group,
        make=file["make"] or [],
        validate=file["validate"] or "",
        needs_earlier=file["needs_earlier"],
        load=file["load"] or "",
        backup=file["backup"],
    )


def text_of(path: Path) -> str:
    """What is there now, for a diff."""
    if path.is_symlink():
        return f"-> {os.readlink(path)}\n"
    return path.read_text(errors="replace") if path.is_file() else ""


def complaint(module: Module, command: list[str]) -> str:
    """Run a command; what it says where it fails, and nothing where it succeeds."""
    try:
        status, out, err = module.run_command(command, handle_exceptions=False)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return f"{out}{err}".strip() or f"status {status}" if status != 0 else ""


def with_path(command: str, path: Path) -> list[str]:
    """The words of a command, in which %s stands for a path."""
    return [word.replace("%s", str(path)) for word in shlex.split(command)]


def refusal(module: Module, file: Wanted) -> str:
    """What the file's own command has to say against it; nothing where it is content."""
    if file.kind != "file" or not file.validate:
        return ""
    temporary = file.temporary(module.tmpdir)
    try:
        return complaint(module, with_path(file.validate, temporary))
    finally:
        temporary.unlink()


def load(module: Module, file: Wanted) -> None:
    """Bring a file into force, whether it was changed or not: what runs may have lost it."""
    said = complaint(module, with_path(file.load, file.path))
    if said:
        module.fail_json(msg=f"{file.path} could not be brought into force: {said}")


def put_all(module: Module, wanted: list[Wanted]) -> None:
    """Validate and put each in turn; where one is refused, leave nothing changed."""
    before = Before(module.tmpdir)
    for number, file in enumerate(wanted):
        said = "" if module.check_mode and number > 0 and file.needs_earlier else refusal(module, file)
        if not said and not module.check_mode:
            try:
                if file.kind != "kept":
                    before.keep(file.path)
                file.put(module)
            except OSError as error:
                said = str(error)
        if said:
            before.restore()
            module.fail_json(msg=f"{file.path} is refused, and nothing was written: {said}")


class Outcome(NamedTuple):
    """What came of a list of files."""

    changed: list[str]
    diff: list[dict[str, str]]


def settle(module: Module, files: list[dict]) -> Outcome:
    """See that all are as they shall be. A check only looks, and validates what it can."""
    everything = [wanted_of(module, file) for file in files]
    wanted = [file for file in everything if not file.is_there()]
    diff = [
        {
            "before_header": str(file.path),
            "before": "" if file.kind == "kept" else text_of(file.path),
            "after_header": str(file.path),
            "after": file.shown(),
        }
        for file in wanted
    ]
    put_all(module, wanted)
    for file in everything:
        if file.load and not module.check_mode:
            load(module, file)
    return Outcome([str(file.path) for file in wanted], diff)
