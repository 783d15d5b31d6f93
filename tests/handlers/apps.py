"""Django app of the handlers that tests start in real worker processes."""

from django.apps import AppConfig


class HandlersConfig(AppConfig):
    name = "tests.handlers"
    label = "test_handlers"
