"""Settings of the tests: the product's own, read from an environment that the tests decide.

The environment is changed for real, so that every process a test starts, and every xdist worker, inherits it.
DATABASE_URL and BROKER_URL are kept when given; whatever is missing is an embedded server that conftest.py starts.
"""

import os
import tempfile
from pathlib import Path

from durable_engine.config.env import EXAMPLES
from durable_engine.embedded import paths

XDIST_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

if not XDIST_WORKER:
    for name in EXAMPLES:
        if name not in {"DATABASE_URL", "BROKER_URL"}:
            os.environ.pop(name, None)
    home = Path(tempfile.mkdtemp(prefix="perdure-tests-"))
    os.environ.update(
        PERDURE_LOCAL="1",
        PERDURE_HOME=str(home),
        SECRET_KEY="a-key-for-tests-only-0123456789-abcdefghijklmnopqrstuvwxyz",
        # Short enough that a test which kills a worker sees it taken over in seconds.
        DURABLE_LEASE_SECONDS="2",
        DURABLE_HEARTBEAT_SECONDS="0.25",
        DURABLE_SCHEDULER_TICK_SECONDS="0.1",
        DURABLE_CRASH_BACKOFF_SECONDS="0.1",
        # Celery's: Django's checks, which load every page, are half of a worker's start; `make check` runs them.
        SKIP_CHECKS="1",
    )
    os.environ.setdefault("DATABASE_URL", paths.database_url(home))
    os.environ.setdefault("BROKER_URL", paths.broker_url(home))

# Runs that share a broker, and the workers of one run, do not see each other's hints.
os.environ["DURABLE_KEY_PREFIX"] = f"{Path(os.environ['PERDURE_HOME']).name}{XDIST_WORKER}."

from durable_engine.config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
