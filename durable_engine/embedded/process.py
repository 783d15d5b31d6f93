"""Child processes that do not outlive their parent, and facts about processes that are not our children."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec only a plain call may happen.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    output: int | IO[Any] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    death_signal: signal.Signals | None = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C in the terminal reaches only the parent.

    On Linux the child gets `death_signal` when the thread that calls this ends, so call it from the main thread. A
    program that changes its user loses that setting; leave it out there (None) and let the program set it after the
    change.
    """
    parent = os.getpid()

    def before_exec() -> None:
        # A terminal's shell may start us with these ignored, and ignored signals are inherited.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if _LIBC is not None and death_signal is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, death_signal)
            # The parent may have died between fork and prctl; then the signal never comes.
            if os.getppid() != parent:
                os._exit(1)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=env,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=before_exec,
        pass_fds=tuple(pass_fds),
    )


def stop(child: subprocess.Popen[bytes], number: signal.Signals, patience: float) -> bool:
    """Signal a child and wait; kill its group after `patience` seconds. True when it went by itself."""
    with suppress(ProcessLookupError):
        child.send_signal(number)
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        kill_group(child.pid)
        child.wait()
        return False
    # What the leader left behind in its group.
    kill_group(child.pid)
    return True


def kill_group(pid: int) -> None:
    """Kill the process group that `pid` leads, if there is one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def command_line(pid: int) -> str:
    """Return the command line of a process; empty when there is none, or it has ended and waits to be reaped."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S607
    return listing.stdout.strip()


def processes_in(directory: Path, program: str) -> list[int]:
    """Return the processes that work in `directory` and name `program` in their command line; on Linux only."""
    target = directory.resolve()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == target and program in command_line(int(entry.name)):
                found.append(int(entry.name))
    return found


def wait_until_gone(pids: Sequence[int], seconds: float) -> bool:
    """Wait for processes that are not our children to end; False when one is left."""
    deadline = time.monotonic() + seconds
    while any(command_line(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
