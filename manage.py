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
    except OperationalError as problem:
        say_when_there_is_no_connection(problem)
        raise


def say_when_there_is_no_connection(problem: Exception) -> None:
    """End with one line instead of a traceback when the database does not run or cannot be reached."""
    from django.conf import settings

    # Postgres gives a refused connection no code, and 57P… to one that it ends or does not take yet.
    code = getattr(problem.__cause__, "sqlstate", None) or "57P"
    if not code.startswith("57P"):
        return
    if settings.ENVIRONMENT.database_url is None:
        sys.exit(
            f"perdure: the embedded database of {settings.PERDURE_HOME} is not running. "
            "Start it with `make run`, or set DATABASE_URL to a running Postgres."
        )
    sys.exit(f"perdure: no connection to the database of DATABASE_URL. {str(problem).splitlines()[0]}")


if __name__ == "__main__":
    main()
