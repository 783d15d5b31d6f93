"""The paths of what AWS's model has no operation for."""

from __future__ import annotations

from django.urls import path, re_path

from durable_engine.api.actions import by_method, unknown_path
from durable_engine.api.v1 import executions, functions, reference
from durable_engine.api.v1.acts import action_of
from durable_engine.services.acts import EXECUTION_ACTS, OPERATION_ACTS

EXECUTION = "executions/<str:execution>"

urlpatterns = [
    path("openapi.json", reference.openapi, name="openapi"),
    path("executions", by_method(GET=executions.execution_list, POST=executions.execution_start)),
    path(EXECUTION, by_method(GET=executions.execution_detail, DELETE=action_of(EXECUTION_ACTS["delete"]))),
    path(f"{EXECUTION}/tags", by_method(PUT=action_of(EXECUTION_ACTS["tags"]))),
    *(
        path(f"{EXECUTION}/{name}", by_method(POST=action_of(act)))
        for name, act in EXECUTION_ACTS.items()
        if name not in {"delete", "tags"}
    ),
    *(
        path(f"{EXECUTION}/operations/<path:operation>/{name}", by_method(POST=action_of(act)))
        for name, act in OPERATION_ACTS.items()
    ),
    path("functions", by_method(GET=functions.version_list)),
    path("functions/<str:function>/callbacks/<path:key>", by_method(GET=functions.callback_by_key)),
    re_path("", unknown_path),
]
