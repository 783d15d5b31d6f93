"""`manage.py generate_load`: a database of a size at which slow pages show."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from uuid_utils.compat import uuid7

from durable_engine.scheduler import failure_groups
from durable_engine.storage import failures, feeds, generated, rollups
from durable_engine.storage.connection import EngineConnection, open_engine_connection

BATCH = 50_000
ROLLUP_BATCH = 50_000
REMOVE_BATCH = 20_000


class Command(BaseCommand):
    """Add executions that look as if they had run, of functions whose names begin with `load-`."""

    help = "Add many made-up executions, of functions named load-…, and one of many steps. --remove deletes them again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare how much."""
        parser.add_argument("--executions", type=int, default=1_000_000, metavar="N", help="default: 1,000,000")
        parser.add_argument("--steps", type=int, default=20_000, metavar="N", help="of one execution; 0 for none")
        parser.add_argument("--days", type=float, default=30.0, help="how far back they reach (default: 30)")
        parser.add_argument("--remove", action="store_true", help="delete all that was generated, and add nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Add or remove, with a line for each part."""
        executions, steps, days = options["executions"], options["steps"], options["days"]
        if executions < 0 or steps < 0 or not 0 < days <= 3650:
            raise CommandError("--executions and --steps must not be negative, --days more than 0 and at most 3650")
        with open_engine_connection() as connection:
            # A batch takes longer than a statement of the engine may.
            connection.execute("SET statement_timeout = 0")
            if options["remove"]:
                self._remove(connection)
                return
            for first in range(1, executions + 1, BATCH):
                last = min(first + BATCH - 1, executions)
                generated.add_executions(connection, first, last, days=days)
                self.stdout.write(f"{last:,} of {executions:,} executions")
            if steps:
                execution_id = uuid7()
                generated.add_wide_execution(connection, execution_id, steps)
                self.stdout.write(f"execution {execution_id} of {steps:,} steps")
            self._count(connection)

    def _remove(self, connection: EngineConnection) -> None:
        removed = 0
        while found := generated.remove_some(connection, REMOVE_BATCH):
            removed += found
            self.stdout.write(f"{removed:,} executions removed")
        generated.remove_functions(connection)
        self._count(connection)

    def _count(self, connection: EngineConnection) -> None:
        """Add up everything anew: what was generated lies behind what the sweeps have read."""
        self.stdout.write("counting")
        feeds.start_over(connection)
        for name in (rollups.STARTS, rollups.ENDS):
            while rollups.roll_up(connection, name, ROLLUP_BATCH) >= ROLLUP_BATCH:
                pass
        for feed in (failures.CLOSED, failures.PAUSED):
            while failure_groups.group_batch(connection, feed) >= failure_groups.BATCH:
                pass
        connection.execute("ANALYZE durable_execution, durable_event, durable_failure")
        self.stdout.write("done")
