"""The Celery app: `celery -A durable_engine.config worker`."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "durable_engine.config.settings")

app = Celery("durable_engine")
app.config_from_object(settings.CELERY)
app.autodiscover_tasks(["durable_engine"])
