#!/usr/bin/python3
"""Write down the words and the settings of every process that anybody may read and that has a secret in them.

usage: look FILE-WITH-THE-SECRET FILE-FOR-WHAT-IS-SEEN
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

secret, seen = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
seen.touch()
known = set()
while True:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if secret in words and words not in known:
                known.add(words)
                with seen.open("ab") as file:
                    file.write(words.replace(b"\0", b" ") + b"\n")
    time.sleep(0.02)
