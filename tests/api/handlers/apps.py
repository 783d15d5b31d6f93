"""An app whose handlers the API's clients start."""

from django.apps import AppConfig


class ApiHandlersConfig(AppConfig):
    """Its `durable_functions` are found like those of any app."""

    name = "tests.api.handlers"
    label = "api_handlers"
