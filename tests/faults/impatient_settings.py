"""The product's settings, with less patience for handlers at an orderly stop."""

from durable_engine.config.settings import *  # noqa: F403
from durable_engine.config.settings import CELERY as _CELERY

CELERY = {**_CELERY, "worker_soft_shutdown_timeout": 1}
