"""Django app configuration."""

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules

from durable_engine.aws import alias
from durable_engine.sdk import registry
from durable_engine.sdk.remote import register_remote
from durable_engine.tracing import TracingPlugin


class DurableEngineConfig(AppConfig):
    """The engine: finds the handlers of every installed app, as Celery finds its tasks."""

    name = "durable_engine"
    verbose_name = "Durable executions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the handlers: of `durable_functions` in each installed app, and those that run elsewhere."""
        from durable_engine import checks  # noqa: F401 - importing registers them; it needs the app registry

        if settings.DURABLE_AWS_ALIAS:
            alias.install()
        if settings.DURABLE_TRACING:
            registry.add_plugin(TracingPlugin(ratio=settings.DURABLE_TRACING_RATIO))
        autodiscover_modules(registry.HANDLER_MODULE)
        for function in settings.DURABLE_REMOTE_FUNCTIONS:
            register_remote(**function)
