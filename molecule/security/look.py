#!/usr/bin/python3
"""Write down the words and the settings of every process that anybody may read and that has a secret in them.

usage: look FILE-WITH-THE-SECRET FILE-FOR-WHAT-IS-SEEN
"""

import itertools
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

secret, seen = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
seen.touch()
known = set()
met = {}
for number in itertools.count():
    listed = [process for process in os.listdir("/proc") if process.isdigit()]
    met = {process: met.get(process, number) for process in listed}
    for process in listed:
        # Which words a process has changes soon after its start, if ever: an old one is looked at now and then.
        if number - met[process] > 20 and number % 10:
            continue
        with suppress(OSError), open(f"/proc/{process}/cmdline", "rb", buffering=0) as file:
            words = file.read()
            if secret in words and words not in known:
                known.add(words)
                with seen.open("ab") as noted:
                    noted.write(words.replace(b"\0", b" ") + b"\n")
    time.sleep(0.02)
