"""Watching processes from outside, as an operator would."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

POLL_SECONDS = 0.05


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Poll until `condition` is true; fail with `what` when it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(POLL_SECONDS)


def identity(pid: int) -> tuple[int, str] | None:
    """Return pid and start time of a process, None when it is gone; one that only waits to be reaped counts as gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else (pid, fields[19])


def is_alive(process: tuple[int, str]) -> bool:
    """Say whether the process found by `identity` still runs; another one with its number does not count."""
    return identity(process[0]) == process


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return the process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(identity(current))
        queue.extend(children.get(current, []))
    return [process for process in found if process]


def wait_until_gone(processes: Iterable[tuple[int, str]], seconds: float = 60.0) -> None:
    """Wait until every one of the processes has ended."""
    left = list(processes)
    wait_for(lambda: not [process for process in left if is_alive(process)], f"the end of {left}", seconds)
