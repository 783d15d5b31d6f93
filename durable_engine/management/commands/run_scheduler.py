"""`manage.py run_scheduler`: wakes what is due and recovers what is lost. Any number of copies may run."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from durable_engine.scheduler.loop import Scheduler
from durable_engine.scheduler.sweeps import all_sweeps


class Command(BaseCommand):
    """Run the scheduler until SIGTERM or SIGINT."""

    help = "Run the scheduler: timers, timeouts, lost workers, undispatched executions. Several copies do no harm."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run until told to stop."""
        scheduler = Scheduler(all_sweeps)
        scheduler.stop_on_signals()
        self.stdout.write("scheduler ready")
        scheduler.run()
