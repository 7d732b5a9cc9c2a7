"""Run a command line that a shell has to read, and bring systemd's signal to what the shell has started.

systemd signals a unit's main process alone and kills the rest when that has ended. A shell in that place dies of the
signal and takes everything with it. This program is there instead: on SIGTERM it signals the processes below it, as
Heroku does, and ends when the last of them has. A copy of it is in each release.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_CHILD_SUBREAPER = 36


def below(process: int) -> list[int]:
    """Return the processes that descend from one, which the kernel tells of by their parents (proc_pid_stat(5))."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
            # The command's name may have anything in it; after its last parenthesis come state and parent.
            parent = int(file.read().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    found, todo = [], [process]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return found


def readers(processes: list[int]) -> set[int]:
    """Return those of some processes that read what others of them write: they end by themselves, as the last ones."""
    pipes = {process: [_pipe(process, number) for number in range(3)] for process in processes}
    return {
        process
        for process, (reads, *_writes) in pipes.items()
        if reads and any(reads in others[1:] for other, others in pipes.items() if other != process)
    }


def _pipe(process: int, descriptor: int) -> str:
    """Return which pipe a process has open as a descriptor, or ""."""
    try:
        target = os.readlink(f"/proc/{process}/fd/{descriptor}")
    except OSError:
        return ""
    return target if target.startswith("pipe:") else ""


def main(command: list[str]) -> int:
    """Run a command; return its status, or 0 once all that it has started has ended after a SIGTERM."""
    # What loses its parent becomes a child of this process, and so is found and waited for.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    asked: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        asked.append(number)
        processes = below(os.getpid())
        for process in set(processes) - readers(processes):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, pass_on)
    # With all that is open: the socket that systemd hands over is not one of the first three.
    first = subprocess.Popen(command, close_fds=False)
    while True:
        try:
            process, status = os.wait()
        except ChildProcessError:
            return 0
        if process == first.pid and not {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT} & set(asked):
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
