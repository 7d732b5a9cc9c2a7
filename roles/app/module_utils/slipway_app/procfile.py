"""Reading a Procfile and the command lines in it.

The format is the one of https://devcenter.heroku.com/articles/procfile: ``name: command`` a line.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path, PurePosixPath

from ansible.module_utils.slipway_app.errors import AppError

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
# A=1 B='x y' C="$HOME" before a command, with the blanks behind each.
_ASSIGNMENTS = re.compile(r"""(?:[A-Za-z_]\w*=(?:[^\s'"\\`]|'[^']*'|"(?:[^"\\`]|\\.)*"|\\.)*(?:\s+|$))*""")
_MODULE = re.compile(r"^[A-Za-z_][\w.]*(:[\w.]+(\(.*\))?)?$")
_SEQUENCE = {";", "&&"}
_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh")
_KEYWORDS = {"exec", "!", "cd", "export", "."}
_COMPOUND = {"if", "then", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "{", "}"}
# gunicorn's options without a value: whatever else starts with a dash takes the next word.
_GUNICORN_FLAGS = {
    "--preload",
    "--reload",
    "--daemon",
    "-D",
    "--check-config",
    "--print-config",
    "--capture-output",
    "--no-sendfile",
    "--reuse-port",
    "--proxy-protocol",
    "--enable-stdio-inheritance",
    "-R",
    "--disable-redirect-access-to-syslog",
    "--no-control-socket",
    "--spew",
    "--strip-header-spaces",
    "--permit-unconventional-http-method",
    "--permit-unconventional-http-version",
    "--casefold-http-method",
    "--log-syslog",
    "--initgroups",
    "--suppress-ragged-eofs",
    "--do-handshake-on-connect",
}


def parse(text: str) -> dict[str, str]:
    """Return the process types of a Procfile with their command lines.

    Raises AppError where a line is neither a process, a comment nor blank, or a name appears twice.
    """
    processes: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if not match:
            raise AppError(f"Procfile, line {number}: {line!r} is no process.", expected="name: command")
        name, command = match.groups()
        if name in processes:
            raise AppError(f"Procfile, line {number}: a second process named {name!r}.")
        processes[name] = command.strip()
    return processes


def tokens(command: str) -> list[str]:
    """Split a shell command line into words and operators; AppError where a quote is left open."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise AppError(f"the command {command!r} is no shell command: {error}.") from error


def with_exec(command: str) -> str:
    """Let the last simple command of a line replace the shell, so that it gets systemd's signals.

    ``flask db upgrade; gunicorn app:app`` becomes ``flask db upgrade; exec gunicorn app:app``. A line
    that is more than a sequence of simple commands comes back as it was.
    """
    words = tokens(command)
    if _COMPOUND & set(words):
        return command
    if any(set(word) <= set("|&<>();") and word not in _SEQUENCE and not set(word) <= set("<>") for word in words):
        return command
    cut = 0
    for match in re.finditer(r";|&&", command):
        # An operator inside quotes is no operator: both halves must be whole by themselves.
        try:
            shlex.split(command[: match.start()])
            shlex.split(command[match.end() :])
        except ValueError:
            continue
        cut = match.end()
    head, tail = command[:cut], command[cut:].strip()
    start = _ASSIGNMENTS.match(tail).end()
    assignments, rest = tail[:start], tail[start:].strip()
    if not rest or rest.split()[0] in _KEYWORDS:
        return command
    return " ".join(part for part in (head, assignments.strip(), "exec", rest) if part)


def launched(command: str, path: Path) -> str:
    """Return a command line as a launcher runs it, so that systemd's signals reach what it starts.

    ``path`` is the app's directory. Either the last command replaces the shell, or, where a shell has to stay (pipes,
    redirections, substitutions, a script of the app's), slipway-supervise passes signals on.
    """
    line = with_exec(command)
    last = _last_command(line)
    if last[:1] == ["exec"] and not _is_shell(last[1] if len(last) > 1 else "", path):
        return line
    return f"exec slipway-supervise sh -c {shlex.quote(command)}"


def _last_command(line: str) -> list[str]:
    """Return the words of a line's last simple command, or nothing where the line is more than a sequence of those."""
    words = tokens(line)
    if _COMPOUND & set(words) or any(word in ("|", "||", "&", "(", ")") for word in words):
        return []
    cut = max((index for index, word in enumerate(words) if word in _SEQUENCE), default=-1)
    last = words[cut + 1 :]
    while last and re.match(r"[A-Za-z_]\w*=", last[0]):
        last = last[1:]
    return last


def _is_shell(word: str, path: Path) -> bool:
    """Say whether a command is a shell, or a script of the app's that one reads."""
    if PurePosixPath(word).name in _SHELLS:
        return True
    try:
        with open(path / word, "rb") as file:
            head = file.readline(200)
    except OSError:
        return False
    return head.startswith(b"#!") and any(shell.encode() in re.split(rb"[/\s]+", head) for shell in _SHELLS)


def gunicorn_words(command: str) -> list[str] | None:
    """Return the words of the gunicorn call in a command line, or None where there is none."""
    call: list[str] | None = None
    for word in tokens(command):
        if call is None:
            if word == "gunicorn" or word.endswith("/gunicorn"):
                call = []
        elif set(word) <= set("|&;()<>"):
            break
        else:
            call.append(word)
    return call


def gunicorn_option(words: list[str], *names: str) -> str | None:
    """Return the value of an option of a gunicorn call, in any of its spellings."""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else (words[index + 1] if index + 1 < len(words) else None)
    return None


def gunicorn_target(words: list[str]) -> str | None:
    """Return the ``module:callable`` of a gunicorn call, or None where a configuration file says it."""
    skip = False
    found = None
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            short_with_value = not word.startswith("--") and len(word) > 2
            skip = word not in _GUNICORN_FLAGS and "=" not in word and not short_with_value
        elif _MODULE.match(word) and found is None:
            found = word
    return found
