"""`manage.py record_history ID > FILE`: keep the history of an execution, to replay it against later code."""

import argparse
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError

from durable_engine.models import Execution
from durable_engine.queries.replays import recorded_events
from durable_engine.testing.golden import GoldenHistory


class Command(BaseCommand):
    """Write a golden history to the standard output. It holds the payloads of the execution."""

    help = "Write the history of an execution as JSON, for `manage.py replay_check` and golden-history tests."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the execution."""
        parser.add_argument("execution_id", type=UUID, metavar="ID")

    def handle(self, *args: Any, execution_id: UUID, **options: Any) -> None:
        """Write it.

        Raises:
            CommandError: there is no such execution.
        """
        execution = Execution.objects.filter(pk=execution_id).first()
        if execution is None:
            raise CommandError(f"There is no execution {execution_id}.")
        events = recorded_events(execution_id)
        history = GoldenHistory(execution.function, execution.version, str(execution_id), events)
        self.stdout.write(history.to_json(), ending="")
