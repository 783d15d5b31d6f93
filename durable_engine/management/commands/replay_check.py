"""`manage.py replay_check FILE… | --running`: would today's code go on with these histories?"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from durable_engine.queries.replays import live_executions, recorded_events
from durable_engine.sdk import registry
from durable_engine.testing.golden import GoldenHistory, check_replay


class Command(BaseCommand):
    """Replay recorded histories, or those of the executions that have not ended, against the installed handlers.

    No step runs and nothing is written. The exit status is 1 when one of them would go wrong.
    """

    help = "Replay histories against today's code; run it with --running before a deploy."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take files, or the executions that have not ended."""
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="written by `record_history`")
        parser.add_argument("--running", action="store_true", help="check the executions that have not ended")
        parser.add_argument("--function", help="with --running: only those of this function")

    def handle(self, *args: Any, files: list[Path], running: bool, function: str | None, **options: Any) -> None:
        """Check them all and say what would go wrong with each.

        Raises:
            CommandError: one would go wrong, a file cannot be read, or nothing was named.
        """
        if bool(files) == running:
            raise CommandError("Name files written by `record_history`, or give --running.")
        if function is not None and not running:
            raise CommandError("--function goes with --running.")
        checked = wrong = 0
        for label, history in _of_running(function) if running else _of_files(files):
            checked += 1
            problem = _problem(history)
            if problem is not None:
                wrong += 1
                self.stdout.write(f"{label} ({history.function}:{history.version})\n{_indented(problem)}")
        if wrong:
            raise CommandError(f"{wrong:,} of {checked:,} would go wrong with today's code.")
        self.stdout.write(f"{checked:,} checked: today's code goes on with each.")


def _of_files(files: list[Path]) -> Iterator[tuple[str, GoldenHistory]]:
    for file in files:
        try:
            yield str(file), GoldenHistory.from_json(file.read_text())
        except (OSError, ValueError) as error:
            raise CommandError(f"{file}: {error}") from None


def _of_running(function: str | None) -> Iterator[tuple[str, GoldenHistory]]:
    for execution in live_executions(function):
        events = recorded_events(execution.pk)
        yield str(execution.pk), GoldenHistory(execution.function, execution.version, str(execution.pk), events)


def _problem(history: GoldenHistory) -> str | None:
    handler = registry.get(history.function, history.version)
    if handler is None:
        return f"No handler is registered as {history.function}:{history.version}."
    return check_replay(handler, history)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
