"""Named places where a test makes a process die, wait or lose a reply. Inert unless `DURABLE_FAILPOINTS` is set.

`DURABLE_FAILPOINTS="checkpoint.before=kill@3,suspend.before=hold:/tmp/x"`: the third hit of `checkpoint.before` kills
the process with SIGKILL; `suspend.before` creates `/tmp/x/suspend.before.reached` and waits for
`/tmp/x/suspend.before.go`. `lose_reply` raises as a connection does that breaks after the commit.

`close.committed=lose_reply%5` acts at random, in 5 % of the hits. `kill:/tmp/x/done` and `lose_reply:/tmp/x/done` first
append the action, the place and the process id to that file. A place may have several entries, which act in turn.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

HOLD_LIMIT_SECONDS = 60.0


@dataclass
class _Failpoint:
    action: str
    argument: str = ""
    only_hit: int | None = None
    percent: float | None = None
    hits: int = field(default=0)

    def acts_now(self) -> bool:
        self.hits += 1
        if self.only_hit is not None and self.hits != self.only_hit:
            return False
        return self.percent is None or random.uniform(0, 100) < self.percent  # noqa: S311


def _parse(text: str) -> dict[str, list[_Failpoint]]:
    points: dict[str, list[_Failpoint]] = {}
    for entry in filter(None, text.split(",")):
        name, _, action = entry.partition("=")
        action, _, percent = action.partition("%")
        action, _, hit = action.partition("@")
        action, _, argument = action.partition(":")
        if action not in {"kill", "hold", "lose_reply"}:
            message = f"DURABLE_FAILPOINTS: unknown action {action!r} in {entry!r}; example: checkpoint.before=kill@2"
            raise ValueError(message)
        point = _Failpoint(action, argument, int(hit) if hit else None, float(percent) if percent else None)
        points.setdefault(name, []).append(point)
    return points


_points: dict[str, list[_Failpoint]] | None = _parse(os.environ.get("DURABLE_FAILPOINTS", "")) or None


def arm(text: str) -> None:
    """Arm this process's failpoints anew; an empty text disarms them. For tests that run the store in-process."""
    global _points
    _points = _parse(text) or None


def hit(name: str) -> None:
    """Do what the environment asks for at this place; nothing in production."""
    if _points is None or (points := _points.get(name)) is None:
        return
    for point in points:
        if point.acts_now():
            _act(point, name)


def _act(point: _Failpoint, name: str) -> None:
    if point.action == "hold":
        _hold(Path(point.argument), name)
        return
    if point.argument:
        with Path(point.argument).open("a") as file:
            file.write(f"{point.action} {name} {os.getpid()}\n")
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    message = f"failpoint {name}: reply lost"
    raise psycopg.OperationalError(message)


def _hold(directory: Path, name: str) -> None:
    (directory / f"{name}.reached").touch()
    deadline = time.monotonic() + HOLD_LIMIT_SECONDS
    while not (directory / f"{name}.go").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
