"""Versions of functions, and callbacks by the business key that a handler gave them."""

from __future__ import annotations

from typing import Final

from durable_engine.api.documented import Documented
from durable_engine.api.v1.actions import Asked, v1_action
from durable_engine.queries.described import version_line
from durable_engine.queries.versions import versions_in_use
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.callbacks import callback_with_key
from durable_engine.services.exceptions import CallbackNotFound

TAG: Final = "Functions"


@v1_action(
    "ListFunctionVersions",
    scope="read",
    documented=Documented(TAG, "List versions of functions: what runs on each, and who serves it", "VersionList"),
)
def version_list(asked: Asked) -> object:
    """The versions of the functions that the key is for."""
    may_touch = asked.call.caller.may_touch
    return {"functions": [version_line(use) for use in versions_in_use() if may_touch(use.function)]}


@v1_action(
    "FindCallback",
    scope="callback",
    documented=Documented(TAG, "Find the open callback of a function that has a business key", "Callback"),
)
def callback_by_key(asked: Asked, function: str, key: str) -> object:
    """The id by which it is completed, and its execution."""
    asked.call.caller.check_function(function)
    if "\x00" in function + key:
        raise CallbackNotFound
    execution_id, operation_id = callback_with_key(function, key)
    asked.call.about = str(execution_id)
    callback_id = callback_id_for(execution_id, operation_id)
    return {"execution_id": execution_id, "operation_id": operation_id, "callback_id": callback_id}
