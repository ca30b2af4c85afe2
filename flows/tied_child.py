"""Run a command that must not outlive its parent: on Linux the kernel kills it when the parent is killed.

Started as a script of its own (`python -S -E tied_child.py PARENT_PID COMMAND …`), because code between fork
and exec is not safe in a process with threads. Where the kernel has no such promise (macOS) the command
runs all the same; a killed run may then leave a dbt that ends by itself and writes to a file of no use.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

if __name__ == "__main__":
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was killed before the kernel knew
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])
