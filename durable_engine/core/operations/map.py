"""`map`: one function over many inputs, each a branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from durable_engine.core.operations.base import Scope, check_name
from durable_engine.core.operations.batch import BatchOperation, branch_id, check_achievable
from durable_engine.core.operations.branch import Branch
from durable_engine.sdk.config import MapConfig
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.types import OperationSubType

Function = Callable[[DurableContext, Any, int, Sequence[Any]], Any]


def run_map(scope: Scope, inputs: Sequence[Any], func: Function, name: str | None, config: MapConfig) -> Any:
    """Return the result of the batch of these inputs."""
    check_achievable(config, len(inputs))
    names = [_name_of(item, index, config) for index, item in enumerate(inputs)]
    state = scope.begin("CONTEXT", OperationSubType.MAP, name)
    branches = [
        Branch(index, branch_id(state.id, index), names[index], partial(_call, func, item, index, inputs))
        for index, item in enumerate(inputs)
    ]
    return BatchOperation(scope, state, branches, config).result()


def _call(func: Function, item: Any, index: int, inputs: Sequence[Any], context: DurableContext) -> Any:
    return func(context, item, index, inputs)


def _name_of(item: Any, index: int, config: MapConfig) -> str:
    if config.item_namer is None:
        return f"map-item-{index}"
    name = config.item_namer(item, index)
    check_name(name)
    return name
