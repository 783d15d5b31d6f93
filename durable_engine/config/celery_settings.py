"""Every Celery setting, with its reason.

Celery carries hints: one opaque execution id that says "look at Postgres". A lost, doubled or late message costs
latency only, so nothing here tries to make the broker reliable; the scheduler's sweeps do what a broker cannot.
"""

from collections.abc import Sequence
from typing import Any

from kombu import Exchange, Queue

TASK = "durable_engine.run_execution"
QUEUE = "durable"


def celery_settings(*, broker_url: str, key_prefix: str, queues: Sequence[str], concurrency: int) -> dict[str, Any]:
    """Return the configuration of the Celery app; a worker serves `queues`, a publisher may name others."""
    return {
        "broker_url": broker_url,
        # No results: the truth is in Postgres.
        "result_backend": None,
        "task_ignore_result": True,
        # JSON only: a hostile broker can cause wake-ups, never code.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_default_queue": QUEUE,
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in queues],
        "task_create_missing_queues": True,
        # Early acknowledgement, and nothing handed back when a child dies: late acknowledgement would be a second
        # recovery path without a counter, and a poison execution would come back for ever. Recovery has one owner,
        # Postgres.
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        # The sweep for undispatched rows is the retry.
        "task_publish_retry": False,
        # One message a process, none in hand: a hint must not wait behind a long invocation while another worker is
        # free.
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_concurrency": concurrency,
        # Timers are rows; this makes a stray eta visible instead of letting it work by accident.
        "worker_eta_task_limit": 1,
        # No task_time_limit: a task is a round of several invocations, and each has its own deadline in Postgres
        # (docs/decisions/0004). The soft limit would raise an ordinary exception inside somebody's step.
        # On SIGTERM running invocations suspend at their next operation; those that do not are left to recovery after
        # this.
        "worker_soft_shutdown_timeout": 20,
        # Memory that handlers leak goes with the process.
        "worker_max_tasks_per_child": 1000,
        "worker_max_memory_per_child": 300_000,
        "worker_lost_wait": 1.0,
        # The message is acknowledged already, so a broker's hiccup must not end a healthy invocation.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Wait for the broker for ever, at the start and later.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # No events and no remote control: nothing listens, and a shared broker cannot command workers.
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        # Logging belongs to Django's settings.
        "worker_hijack_root_logger": False,
        "broker_transport_options": _transport(key_prefix, on_socket=broker_url.startswith("redis+socket:")),
        "timezone": "UTC",
    }


def _transport(key_prefix: str, *, on_socket: bool) -> dict[str, Any]:
    options = {
        "global_keyprefix": key_prefix,
        "visibility_timeout": 3600,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "health_check_interval": 10,
        "retry_on_timeout": True,
    }
    # A Unix socket has no TCP keep-alive, and the client refuses the option there.
    return options if on_socket else {**options, "socket_keepalive": True}
