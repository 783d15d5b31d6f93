"""The approvals app: people answer pending callbacks."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Pages in `approvals.urls`, the one writer of decisions in `approvals.services.decisions`."""

    name = "approvals"
    verbose_name = "Approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let handlers open requests in the database; plug sweeps and messages into the engine."""
        from approvals.messages import make_message, message_failed
        from approvals.sdk.opening import use_requests
        from approvals.services.notices import TOPIC
        from approvals.services.opening import DatabaseRequests
        from approvals.sweeps.reconcile import ask_again, check_satisfiable_again, forget_leftovers, reconcile
        from approvals.sweeps.timers import tick
        from durable_engine import extensions

        use_requests(DatabaseRequests())
        extensions.register_sweep("approval timers", tick, every_seconds=1.0)
        extensions.register_sweep("approval requests that ended", reconcile, every_seconds=5.0)
        extensions.register_sweep("approval requests asked again", ask_again, every_seconds=2.0)
        extensions.register_sweep("approval people", check_satisfiable_again, every_seconds=30.0)
        extensions.register_sweep("approval leftovers", forget_leftovers, every_seconds=60.0)
        extensions.register_messages(TOPIC, extensions.MessageMaker(make_message, message_failed))
