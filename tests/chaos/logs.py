"""What the logs may say after a run full of faults, and what they must not."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The last line of a traceback that the faults themselves explain: the pool reports a killed child, the broker's client
# an outage, the web server a request that met one.
EXPLAINED = re.compile(
    r"WorkerLostError|billiard\.einfo\.ExceptionWithTraceback|redis\.exceptions\.|kombu\.exceptions\.|ConnectionResetError|ConnectionRefusedError"
    r"|SessionInterrupted|BrokenPipeError|FileNotFoundError: \[Errno 2\] No such file or directory$"
    r"|psycopg\.(OperationalError|errors\.(AdminShutdown|CrashShutdown|CannotConnectNow))"
    r"|django\.db\.utils\.(OperationalError|InterfaceError)|TimeoutError: timed out"
)
FORBIDDEN = ("deadlock detected", "could not restore message", "PANIC")
# Celery's own: the end of a traceback and a line in it. It is told to stop in the moment in which it asks whether its
# pool has started, and the pool is gone; it loses the broker when a child has died whose place is not yet free. Its
# process ends, and whoever supervises it starts another.
CELERYS_OWN = (
    ("AttributeError: 'NoneType' object has no attribute 'did_start_ok'", "asynloop"),
    ("StopIteration", "get_process_queues"),
)
# Where the faults of Postgres may surface as a traceback: the web server answers 500 and logs why.
POSTGRES_EXPLAINS_ONLY_IN = ("web",)

TRACEBACK = "Traceback (most recent call last):"


def problems(logs: Iterator[tuple[str, str]]) -> Iterator[str]:
    """Yield what is not explained, with the log's name."""
    for name, text in logs:
        for word in FORBIDDEN:
            if word in text:
                line = next(line for line in text.splitlines() if word in line)
                yield f"{name}.log: {line[:300]}"
        for block in tracebacks(text):
            last = block[-1]
            is_postgres = "psycopg" in last or "django.db" in last
            if any(last.endswith(end) and any(place in line for line in block) for end, place in CELERYS_OWN):
                continue
            if not EXPLAINED.search(last) or (is_postgres and name not in POSTGRES_EXPLAINS_ONLY_IN):
                yield f"{name}.log: " + " | ".join(line.strip() for line in [*block[-7:-1], last])[:900]


def tracebacks(text: str) -> Iterator[list[str]]:
    """Yield each traceback; of a chain of them one, which ends with the last error."""
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        if TRACEBACK not in lines[index]:
            index += 1
            continue
        end = _end_of(lines, index + 1)
        block = lines[index : end + 1]
        index = end + 1
        following = next((line for line in lines[index : index + 4] if line.strip()), "")
        if not following.startswith(("During handling of", "The above exception was")):
            yield block


def _end_of(lines: list[str], index: int) -> int:
    """The line with the error: the first that is not indented."""
    while index < len(lines) - 1 and (lines[index].startswith((" ", "\t")) or not lines[index].strip()):
        index += 1
    return min(index, len(lines) - 1)
