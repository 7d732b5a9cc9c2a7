"""A process beside the web: beats into its home directory, and says goodbye when it is told to stop."""

import os
import signal
import sys
import time
from pathlib import Path

beat = Path(os.environ["HOME"]) / f"{sys.argv[1]}.beat"
# Written beside it first, by this process alone: whoever reads the beat at any moment reads a whole one.
whole = beat.with_suffix(f".{os.getpid()}")
release = os.environ["SLIPWAY_RELEASE"]


def stop(*_signal):
    """Finish the work at hand, as a good worker does."""
    time.sleep(0.5)
    beat.with_suffix(f".{release}.stopped").write_text("in order")
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
while True:
    whole.write_text(release)
    whole.replace(beat)
    time.sleep(0.2)
