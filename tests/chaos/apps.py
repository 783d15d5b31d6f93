"""Django app of the handlers that the chaos run starts in real worker processes."""

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    name = "tests.chaos"
    label = "test_chaos"
