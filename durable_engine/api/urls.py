"""The paths of the service API, as AWS's model of Lambda has them."""

from __future__ import annotations

from typing import Final

from django.urls import path, re_path

from durable_engine.api import callbacks, checkpoints, executions, functions, invoke
from durable_engine.api.actions import by_method, unknown_path

FUNCTIONS: Final = "2015-03-31/functions"
EXECUTIONS: Final = "2025-12-01/durable-executions"
CALLBACKS: Final = "2025-12-01/durable-execution-callbacks"

# An execution's name and a callback's id hold slashes, which arrive decoded.
urlpatterns = [
    path(f"{FUNCTIONS}/<str:function>/invocations", by_method(POST=invoke.invoke)),
    path(f"{FUNCTIONS}/<str:function>/configuration", by_method(GET=functions.function_configuration)),
    path(f"{FUNCTIONS}/<str:function>", by_method(GET=functions.function_detail)),
    path(FUNCTIONS, by_method(GET=functions.function_list)),
    path(f"{FUNCTIONS}/", by_method(GET=functions.function_list)),
    path("2025-12-01/functions/<str:function>/durable-executions", by_method(GET=executions.execution_list)),
    path(f"{EXECUTIONS}/<path:arn>/history", by_method(GET=executions.execution_history)),
    path(f"{EXECUTIONS}/<path:arn>/stop", by_method(POST=executions.execution_stop)),
    path(f"{EXECUTIONS}/<path:arn>/checkpoint", by_method(POST=checkpoints.execution_checkpoint)),
    path(f"{EXECUTIONS}/<path:arn>/state", by_method(GET=checkpoints.execution_state)),
    path(f"{EXECUTIONS}/<path:arn>/pause", by_method(POST=executions.execution_pause)),
    path(f"{EXECUTIONS}/<path:arn>/resume", by_method(POST=executions.execution_resume)),
    path(
        f"{EXECUTIONS}/<path:arn>",
        by_method(GET=executions.execution_detail, DELETE=executions.execution_delete),
    ),
    path(f"{CALLBACKS}/<path:callback_id>/succeed", by_method(POST=callbacks.callback_succeed)),
    path(f"{CALLBACKS}/<path:callback_id>/fail", by_method(POST=callbacks.callback_fail)),
    path(f"{CALLBACKS}/<path:callback_id>/heartbeat", by_method(POST=callbacks.callback_heartbeat)),
    re_path(r"^(?:2015-03-31|2025-12-01)(?:/|$)", unknown_path),
]
