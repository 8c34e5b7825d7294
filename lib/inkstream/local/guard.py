"""Ends one process when the pipe on standard input closes, that is when whoever started this guard is gone.

Run as a script: `python -I guard.py PID`. A service that is bound to its caller thus ends even where the caller was
killed with SIGKILL and could clean nothing up.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

GRACE_S = 10


def main() -> None:
    pid = int(sys.argv[1])
    sys.stdin.buffer.read()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        for _ in range(GRACE_S * 10):
            time.sleep(0.1)
            os.kill(pid, 0)
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
