"""Perdure: durable executions on your own Postgres and Celery.

Everything a handler author imports:

    from durable_engine import DurableContext, Duration, durable_execution
"""

from durable_engine.sdk import *  # noqa: F403 - the handler API, and nothing else
from durable_engine.sdk import __all__ as __all__
