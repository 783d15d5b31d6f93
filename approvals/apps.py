"""The approvals app: people answer pending callbacks."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """The pages are in `approvals.urls`, the one writer in `approvals.services`."""

    name = "approvals"
    verbose_name = "Approvals"
