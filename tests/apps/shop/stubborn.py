"""What somebody who broke into the shop may leave there: it calls itself the main process, and asks for more time."""

import os
import signal
import socket
import time
from pathlib import Path

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
address = os.environ["NOTIFY_SOCKET"]
systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
systemd.connect("\0" + address[1:] if address.startswith("@") else address)
for _ in range(100):
    systemd.send(b"MAINPID=%d\nEXTEND_TIMEOUT_USEC=10000000" % os.getpid())
    time.sleep(1)
(Path(os.environ["HOME"]) / "stubborn").write_text("it ended when it wanted to")
