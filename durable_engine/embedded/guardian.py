"""Ends the children of a supervisor that was killed. Run as a script, on the standard library alone.

The supervisor holds the other end of standard input and writes `+PID SIGNAL` for each child and `-PID` when one has
ended. End of file means that the supervisor is gone: every child left gets its signal, and after a while its whole
group is killed.
"""

import os
import signal
import sys
import time
from contextlib import suppress

PATIENCE_SECONDS = 5.0


def main() -> None:
    """Follow the supervisor until it is gone, then end what it left."""
    # Ctrl-C and the like are the supervisor's business; this process must outlive it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end(follow())


def follow() -> dict[int, int]:
    """Read until end of file and return the children that are left, with the signal each wants."""
    children: dict[int, int] = {}
    for line in sys.stdin:
        words = line[1:].split()
        if line.startswith("+"):
            children[int(words[0])] = int(words[1])
        else:
            children.pop(int(words[0]), None)
    return children


def end(children: dict[int, int]) -> None:
    """Ask each child to stop, wait, then kill the groups."""
    for pid, number in children.items():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(group_exists(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in children:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def group_exists(pid: int) -> bool:
    """Say whether the process group that `pid` leads has a member."""
    try:
        os.killpg(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
