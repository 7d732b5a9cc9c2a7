"""What a program of the app prints, taken from it as far as it is of a sensible size."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LARGEST_BYTES = 16 * 1024 * 1024


class TooMuchError(Exception):
    """A program has printed more than anybody keeps."""


class Output:
    """What came through a named pipe, of much the beginning."""

    def __init__(self, path: Path, largest: int) -> None:
        self.path, self.largest = path, largest
        self.too_much = False
        self._kept = bytearray()
        self._ended = threading.Event()
        # Without waiting for a writer; the unit that will be one is only to be started.
        self._pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            last = self._ended.is_set()
            if select.select([self._pipe], [], [], 0.05)[0]:
                piece = os.read(self._pipe, 65536)
                self._kept += piece[: max(0, self.largest - len(self._kept))]
                self.too_much = self.too_much or len(self._kept) >= self.largest
                if piece:
                    continue
                # Nobody has it open for writing: not yet, or not any more.
                self._ended.wait(0.05)
            if last:
                return

    def text(self) -> str:
        """Return it, once nobody writes any more. Raises TooMuchError where it was too much to be kept whole."""
        self._ended.set()
        self._reader.join()
        if self.too_much:
            raise TooMuchError(f"it printed more than {self.largest} bytes")
        return self._kept.decode("utf-8", "replace")

    def close(self) -> None:
        """End the reading and remove the pipe."""
        self._ended.set()
        self._reader.join()
        os.close(self._pipe)
        self.path.unlink(missing_ok=True)


@contextmanager
def output(path: Path, largest: int = LARGEST_BYTES) -> Iterator[Output]:
    """Make a named pipe for what a unit prints, and take it in while the block runs: of much the first bytes alone.

    A file in its place could be made as large as the file system that it is in.
    """
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    taken = Output(path, largest)
    try:
        yield taken
    finally:
        taken.close()
