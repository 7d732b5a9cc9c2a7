"""Do what a runbook says, in a checkout of one's own: its commands are run as they are written.

usage: runbook.py SETTINGS page NAME | runbook.py SETTINGS shell COMMAND

Which fenced block means what is told by the words after its fence:
    sh            typed on the control node, in the checkout, at a terminal
    sh machine    typed on the machine, after a login by ssh
    yaml FILE     written into FILE in an editor: its variables replace those of the same name
    ini FILE      likewise, with its sections
    text          only shown
A FILE named vault.yml is encrypted: what it shows is typed into the editor that ansible-vault opens.

SETTINGS is a JSON file: checkout, address, user, ssh_config, and words, which has what a person puts in the place of a
word like YOUR-DOMAIN. The first command that fails ends it, with status 1.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parents[2]
PATIENCE_SECONDS = 900


class Block(NamedTuple):
    """A fenced block: the language and the place that its fence names, and its text."""

    language: str
    place: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, without the indentation of the list that one stands in."""
    found = re.findall(r"^([ ]*)```(\S*)[ ]*(.*)\n((?:.*\n)*?)\1```$", page, re.M)
    return [
        Block(language, place, re.sub(rf"^{indent}", "", text, flags=re.M)) for indent, language, place, text in found
    ]


def put_in(text: str, words: dict[str, str]) -> str:
    """Return a text with the words that a person replaces, longest first, so that none is part of another."""
    for word in sorted(words, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])", lambda _, to=words[word]: to, text)
    return text


def edited(old: str, new: str, head: str) -> str:
    """Return a file's text with the parts of ``new`` in place of its own; a part begins with a line like ``head``."""
    names = re.findall(head, new, re.M)
    kept, drop = [], False
    for line in old.splitlines(keepends=True):
        match = re.match(head, line)
        if match or line.startswith("#"):
            drop = bool(match) and match.group(1) in names
        if not drop:
            kept.append(line)
    return "".join(kept).rstrip("\n") + "\n" + new


HEADS = {"yaml": r"^(\w+):", "ini": r"^\[([\w:]+)\]"}


class Person:
    """Somebody at the control node, with a checkout, an ssh key and an editor."""

    def __init__(self, settings: dict) -> None:
        self.settings = settings
        self.checkout = Path(settings["checkout"])
        self.desk = self.checkout.parent / f"{self.checkout.name}.desk"
        if not self.checkout.exists():
            self.clone()

    def clone(self) -> None:
        """Make the checkout and the desk: ssh, a login on the machine, an editor, and what curl must know."""
        asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(asked, cwd=SOURCE, check=True, capture_output=True, text=True).stdout
        for name in filter(None, listed.split("\0")):
            if not os.path.lexists(SOURCE / name) or name == ".venv":
                continue
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE / name, self.checkout / name, follow_symlinks=False)
        (self.checkout / ".venv").symlink_to(sys.prefix)
        self.desk.mkdir()
        ssh = shutil.which("ssh")
        self.program("ssh", f'exec {ssh} -F {shlex.quote(self.settings["ssh_config"])} "$@"')
        self.program("machine", f'exec "$(dirname "$0")/ssh" {self.settings["user"]}@{self.settings["address"]} "$@"')
        self.program("editor", 'cat "$SLIPWAY_TYPED" >> "$1"')
        # Half a minute of watching for each deploy would teach nothing here.
        watch = self.checkout / "inventory/group_vars/prod/test.yml"
        watch.write_text("---\napp_watch_seconds: 2\n")
        # The domain's name server, as far as curl goes.
        (self.desk / ".curlrc").write_text(
            f'resolve = "{self.settings["words"]["YOUR-DOMAIN"]}:443:{self.settings["address"]}"\n'
        )

    def program(self, name: str, line: str) -> None:
        """Lay a program on the desk."""
        (self.desk / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.desk / name).chmod(0o755)

    def environment(self) -> dict[str, str]:
        """Return this person's environment: nothing of the test's own."""
        ours = ("ANSIBLE_", "MOLECULE_", "SLIPWAY_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        for name in ("VENV", "PYTHON", "PY_COLORS", "NO_COLOR", "FORCE_COLOR", "MAKEFLAGS"):
            kept.pop(name, None)
        return kept | {
            "PATH": f"{self.desk}:{self.checkout}/.venv/bin:{os.environ['PATH']}",
            "EDITOR": str(self.desk / "editor"),
            "SLIPWAY_TYPED": str(self.desk / "typed"),
            "CURL_HOME": str(self.desk),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.desk / "cp"),
            "TERM": "dumb",
            "COLUMNS": "200",
        }

    def type_here(self, text: str) -> int:
        """Run a block on the control node, at a terminal, as some programs want it; return its status."""
        words = ["timeout", str(PATIENCE_SECONDS), "bash", "-euo", "pipefail", "-c", text]
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.checkout)
            os.execvpe(words[0], words, self.environment())
        try:
            while chunk := os.read(terminal, 65536):
                sys.stdout.buffer.write(chunk.replace(b"\r\n", b"\n"))
                sys.stdout.flush()
        except OSError:
            pass  # the other end is gone
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def type_there(self, text: str) -> int:
        """Run a block on the machine; return its status."""
        asked = [str(self.desk / "machine"), f"bash -euo pipefail -c {shlex.quote(text)}"]
        return subprocess.run(asked, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS).returncode

    def do(self, block: Block) -> int:
        """Do what a block says; return the status of a command."""
        text = put_in(block.text, self.settings["words"])
        print(f"--- {block.language} {block.place}\n{text}---", flush=True)
        match block.language, block.place:
            case "sh", "":
                return self.type_here(text)
            case "sh", "machine":
                return self.type_there(text)
            case "yaml" | "ini", place if not place.endswith("vault.yml"):
                file = self.checkout / place
                file.write_text(edited(file.read_text(), text, HEADS[block.language]))
        return 0

    def page(self, name: str) -> int:
        """Do what a page says from its top to its end; return the first status that is not 0."""
        found = blocks((self.checkout / "docs/runbooks" / f"{name}.md").read_text())
        typed = [block.text for block in found if block.place.endswith("vault.yml")]
        (self.desk / "typed").write_text(put_in("".join(typed), self.settings["words"]))
        return next((status for status in map(self.do, found) if status), 0)


if __name__ == "__main__":
    person = Person(json.loads(Path(sys.argv[1]).read_text()))
    what, said = sys.argv[2:]
    done = person.page(said) if what == "page" else person.type_here(said)
    print(f"--- status {done}")
    sys.exit(min(abs(done), 1))
