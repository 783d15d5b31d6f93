#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    """Run the command named in the arguments."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "durable_engine.config.settings")
    # `up` is one machine over plain http, also when it is given a database; its children inherit this.
    if sys.argv[1:2] == ["up"]:
        os.environ.setdefault("PERDURE_LOCAL", "1")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError:
        say_when_nothing_runs()
        raise


def say_when_nothing_runs() -> None:
    """End with one line instead of a traceback when the embedded database is meant and does not run."""
    from django.conf import settings

    from durable_engine.embedded.paths import database_answers

    if settings.ENVIRONMENT.database_url is None and not database_answers(settings.PERDURE_HOME):
        sys.exit(
            f"perdure: the embedded database of {settings.PERDURE_HOME} is not running. "
            "Start it with `make run`, or set DATABASE_URL to a running Postgres."
        )


if __name__ == "__main__":
    main()
