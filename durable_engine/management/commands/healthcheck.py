"""`manage.py healthcheck web|worker`: for containers; status 0 when the process on this machine does its work."""

import argparse
import socket
import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db.models.functions import Now

from durable_engine.models import Worker


class Command(BaseCommand):
    """Ask the web process on PORT (8000 when unset), or look for a recent heartbeat of a worker on this host."""

    help = "Exit with status 0 when the web process or a worker on this machine is healthy."
    requires_system_checks: list[str] = []  # noqa: RUF012 (as Django declares it)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the kind of process."""
        parser.add_argument("kind", choices=["web", "worker"])

    def handle(self, *args: Any, kind: str, **options: Any) -> None:
        """Check one kind of process.

        Raises:
            CommandError: it is not healthy.
        """
        check_web() if kind == "web" else check_worker()
        self.stdout.write("ok")


def check_web() -> None:
    """Ask for /healthz."""
    address = f"http://127.0.0.1:{settings.ENVIRONMENT.port or 8000}/healthz"
    try:
        urllib.request.urlopen(address, timeout=3).close()
    except (urllib.error.URLError, TimeoutError) as problem:
        raise CommandError(f"{address}: {problem}") from None


def check_worker() -> None:
    """Look for a worker of this host whose lease has not run out."""
    oldest = Now() - timedelta(seconds=settings.DURABLE_LEASE_SECONDS)
    workers = Worker.objects.filter(hostname=socket.gethostname(), lost_at=None, last_seen__gte=oldest)
    if not workers.exists():
        raise CommandError(f"no worker of {socket.gethostname()} was heard of in {settings.DURABLE_LEASE_SECONDS:g} s")
