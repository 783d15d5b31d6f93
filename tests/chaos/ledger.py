"""What handlers did, written outside the engine's database: one file a process, one `write` a record."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LEDGER_VARIABLE = "CHAOS_LEDGER"


@dataclass(frozen=True)
class Entry:
    """`phase`: begin, end and fail of a step's body, seen when an operation's value reached the handler.

    `fence` is that of the lease under which it happened, `hash` that of the value, `time` the machine's clock.
    """

    execution_id: str
    name: str
    phase: str
    attempt: int
    fence: int
    pid: int
    time: float
    hash: str = ""


_file: tuple[int, int] | None = None  # process id and descriptor


def note(execution_id: str, name: str, phase: str, *, attempt: int = 0, fence: int = 0, value: Any = None) -> None:
    """Append one record."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16] if phase == "seen" else ""
    record = [execution_id, name, phase, attempt, fence, os.getpid(), time.time(), digest]
    os.write(_descriptor(), (json.dumps(record) + "\n").encode())


def _descriptor() -> int:
    global _file
    if _file is None or _file[0] != os.getpid():
        directory = Path(os.environ[LEDGER_VARIABLE])
        name = f"{os.getpid()}-{time.time_ns()}.jsonl"
        _file = (os.getpid(), os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    return _file[1]


def read(directory: Path) -> list[Entry]:
    """Return all records, by time. A last line that a kill cut short is left out."""
    entries = []
    for path in directory.glob("*.jsonl"):
        entries += [Entry(*json.loads(line)) for line in path.read_text().splitlines() if line.endswith("]")]
    return sorted(entries, key=lambda entry: entry.time)
