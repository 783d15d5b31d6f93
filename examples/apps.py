"""Django app configuration."""

from django.apps import AppConfig


class ExamplesConfig(AppConfig):
    """Runnable example handlers."""

    name = "examples"
    default_auto_field = "django.db.models.BigAutoField"
