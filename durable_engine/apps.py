"""Django app configuration."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

HANDLER_MODULE = "durable_functions"


class DurableEngineConfig(AppConfig):
    """The engine: finds the handlers of every installed app, as Celery finds its tasks."""

    name = "durable_engine"
    verbose_name = "Durable executions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import `durable_functions` of each installed app; importing registers the handlers."""
        autodiscover_modules(HANDLER_MODULE)
