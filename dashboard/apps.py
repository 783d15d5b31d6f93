"""The dashboard app: pages over the engine's queries and services. It has no models."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Registers the template tags; the pages are in `dashboard.urls`."""

    name = "dashboard"
    verbose_name = "Dashboard"
